"""Check the archive of a study and unpack it, whole or not at all. An archive may come from anybody."""

import hashlib
import json
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from study.errors import StudyError
from study.records.changes import changes, described
from study.records.contract import ANALYSIS, STATUS, WITH_RESULT
from study.records.existing import read_config
from study.records.status import read_status
from study.records.supplement import (
    CONTENTS,
    FORMAT,
    OF_ANALYSIS,
    OF_RUN,
    OF_STUDY,
    README,
    STUDY,
    VERSIONS,
)

LONGEST_LIST = 1 << 28  # bytes of contents.json
AT_ONCE = 1 << 20  # bytes
SPARE = 1 << 26  # bytes that stay free on the disk
RUN = re.compile(r"[\w.,+=-]{1,150}-seed\d+(?:-(?:split|init|order|dropout)\d+){0,3}-[0-9a-f]{12}")
NAME = re.compile(r"[^\x00-\x1f/\\:]{1,200}")
MEND = "Ask for a new copy of the archive. Nothing was imported"


class Archive:
    """An open archive whose list of contents has been checked."""

    def __init__(self, file: Path):
        """Open an archive.

        Raises:
            StudyError: it is no archive of a study, or it holds a file that such an archive does not have.
        """
        self.file = file
        try:
            self.zip = zipfile.ZipFile(file)
        except FileNotFoundError:
            raise StudyError(f"{file} does not exist. Give a file that study export zip has written") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise self._refused("it is no readable ZIP file, or it is incomplete") from None
        except OSError as error:
            raise StudyError(
                f"{file} cannot be read ({error.strerror}). Give a file that study export zip has written"
            ) from None
        entries = self.zip.infolist()
        self.entries = {entry.filename: entry for entry in entries}
        if len({name.casefold() for name in self.entries}) < len(entries):
            raise self._refused("it has several files of one name")
        for entry in entries:
            self._check_entry(entry)
        lists = [name for name in self.entries if name.count("/") == 1 and name.endswith(f"/{CONTENTS}")]
        if len(lists) != 1:
            raise self._refused(f"it has no {CONTENTS}, so it was not written by study export zip")
        self.study = lists[0].partition("/")[0]
        self.sums = self._read_contents(lists[0])

    def _refused(self, reason: str) -> StudyError:
        return StudyError(f"{self.file}: {reason}. {MEND}")

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        """Refuse an entry that could be written outside its folder, is no file, or cannot be read."""
        parts = entry.filename.split("/")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        shown = repr(entry.filename)[:200]
        if not all(NAME.fullmatch(part) and part not in (".", "..") for part in parts):
            raise self._refused(f"{shown} is not the path of a file inside the archive")
        if kind not in (0, stat.S_IFREG):
            raise self._refused(f"{shown} is a link or another special file")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._refused(f"{shown} is encrypted, or compressed in another way than by study export zip")

    def _read_contents(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The size and checksum of each file by its path below the archive's folder."""
        if self.entries[name].file_size > LONGEST_LIST:
            raise self._refused(f"{CONTENTS} is too long")
        try:
            content = json.loads(self.zip.read(name))
            files = {str(path): dict(facts) for path, facts in content["files"].items()}
            sound = all(isinstance(f["size"], int) and isinstance(f["sha256"], str) for f in files.values())
            version = content["format"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, zipfile.BadZipFile, EOFError):
            raise self._refused(f"{CONTENTS} is not readable") from None
        except Exception as error:  # of the decompression, which has errors of its own
            raise self._refused(f"{CONTENTS} is not readable ({type(error).__name__})") from None
        if version != FORMAT:
            raise self._refused(f"it has format {version!r}, and this version of regstudy reads {FORMAT}")
        if not sound:
            raise self._refused(f"{CONTENTS} is not readable")
        own = {f"{self.study}/{path}" for path in files} | {name}
        if differing := sorted(own ^ self.entries.keys()):
            raise self._refused(f"{CONTENTS} and the archive differ in {differing[0]!r}")
        for path, facts in files.items():
            if not _is_allowed(path):
                raise self._refused(f"{path!r} is not a file that study export zip writes")
            if facts["size"] != self.entries[f"{self.study}/{path}"].file_size:
                raise self._refused(f"{path!r} has another size than {CONTENTS} says")
        return files

    def unpack(self, folder: Path) -> int:
        """Unpack the study's files into a new folder, and check each file and each run.

        Args:
            folder: where the study's files go; it must not exist.

        Returns:
            The number of runs.

        Raises:
            StudyError: there is not enough room, a file does not have its checksum, or a run does not match its seal.
        """
        needed, free = sum(int(facts["size"]) for facts in self.sums.values()), shutil.disk_usage(folder.parent).free
        if needed + SPARE > free:
            room = f"{folder.parent} has {free / 1e6:,.0f} MB left"
            raise StudyError(f"{self.file} says that it needs {needed / 1e6:,.0f} MB, and {room}. Make room")
        folder.mkdir()
        for path, facts in self.sums.items():
            inner = PurePosixPath(path)
            target = folder.joinpath(*inner.parts[1:]) if inner.parts[0] == STUDY else None
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
            self._unpack_file(path, facts, target)
        runs = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != ANALYSIS)
        for run in runs:
            self._check_run(run)
        if not runs:
            raise self._refused("it has no run")
        return len(runs)

    def _unpack_file(self, path: str, facts: Mapping[str, Any], target: Path | None) -> None:
        """Write a file and compare its checksum. `target`: None only compares."""
        digest, left = hashlib.sha256(), int(facts["size"])
        try:
            with self.zip.open(f"{self.study}/{path}") as source, open(target or os.devnull, "wb") as out:
                while left >= 0 and (part := source.read(AT_ONCE)):
                    left -= len(part)  # below 0: there is more than the archive says
                    digest.update(part)
                    out.write(part)
        except OSError as error:
            if error.errno is not None:  # of the disk
                raise
            raise self._refused(f"{path!r} is damaged") from None
        except Exception:  # of the decompression
            raise self._refused(f"{path!r} is damaged") from None
        if left or digest.hexdigest() != facts["sha256"]:
            raise self._refused(f"{path!r} does not have the checksum of {CONTENTS}")

    def _check_run(self, run: Path) -> None:
        status = read_status(run)
        if status is None or not {"run_id", "variant", "variant_id"} <= status.keys() or read_config(run) is None:
            raise self._refused(f"the run {run.name} has no readable {STATUS} or config")
        if status["state"] not in WITH_RESULT or not run.name.endswith(f"-{status['run_id'][:12]}"):
            raise self._refused(f"{run.name} is not the complete run that its name says")
        found = changes(run, status)
        if found:
            raise self._refused(f"the run {run.name} {described(found)}")


def _is_allowed(path: str) -> bool:
    """Whether an archive may have a file. Checkpoints are not allowed, because reading one may run code."""
    if path in (README, VERSIONS):
        return True
    folder, *inner = path.split("/")
    if folder != STUDY or not inner:
        return False
    if len(inner) == 1:
        return inner[0] in OF_STUDY
    if inner[0] == ANALYSIS:
        return PurePosixPath(path).suffix in OF_ANALYSIS and not any(part.startswith(".") for part in inner)
    return len(inner) == 2 and RUN.fullmatch(inner[0]) is not None and inner[1] in OF_RUN
