"""A study as one ZIP file, for the supplement of a paper. The same study gives the same bytes."""

import hashlib
import json
import os
import shlex
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from study import __version__
from study.records.changes import MAY_GO
from study.records.contract import FILES, LEDGER, PART, TWICE
from study.records.existing import Existing
from study.records.manifest import MANIFEST
from study.records.sweeps import SWEEPS, recorded_commands

FORMAT = 1  # of the archive; a reader refuses others
CONTENTS, README, VERSIONS = "contents.json", "README.txt", "versions.json"
STUDY = "study"  # folder in the archive with what outputs/<name>/ has
OF_STUDY = (SWEEPS, MANIFEST, LEDGER, TWICE)  # files beside the runs
OF_RUN = tuple(name for name in FILES if name not in MAY_GO)
OF_ANALYSIS = (".csv", ".md", ".tex", ".txt", ".html", ".pdf", ".svg", ".png", ".parquet")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file, so that bytes do not depend on the day
TEXT = """{name}: a study of regularization, made with regstudy {version}.

study/<run>/        a run: config.yaml, CSVs, predictions, and status.json with versions and checksums
study/analysis/     tables and figures
study/sweeps.jsonl  the command lines and every run that they planned
versions.json       what trained the runs: versions of libraries, device, threads
contents.json       size and SHA-256 of each file

Check this archive, and unpack it to outputs/{name}/:
    study import {name}.zip

Train it again:
{train}
Make its tables and figures again:
    {analyze}
The options baseline, at, filter and style of an analysis are not recorded: add those that were given.

docs: docs/reference/files.md of regstudy defines all files and columns.
"""


def write_supplement(target: Path, study_folder: Path, runs: Sequence[Existing], analysis: Path) -> int:
    """Write the archive of a study.

    Args:
        target: the ZIP file; it is replaced if it exists.
        study_folder: outputs/<name>.
        runs: the runs to include.
        analysis: the folder with tables and figures.

    Returns:
        The number of files.

    Raises:
        OSError: a file cannot be read, or the archive not written.
    """
    name, contents = study_folder.name, {}
    part = target.with_name(f".{target.name}.{os.getpid()}{PART}")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for path, content in _files(study_folder, runs, analysis):
                contents[path] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                _add(archive, f"{name}/{path}", content)
            listed = {"format": FORMAT, "study": name, "regstudy": __version__, "files": contents}
            _add(archive, f"{name}/{CONTENTS}", _as_json(listed))
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return len(contents) + 1


def _files(study_folder: Path, runs: Sequence[Existing], analysis: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file of the archive but the list of its contents, by its path."""
    figures = sorted(path.stem for path in (analysis / "figures").glob("*.pdf"))
    yield README, _readme(study_folder, figures).encode()
    yield VERSIONS, _as_json(_versions(runs))
    for name in OF_STUDY:
        if (study_folder / name).is_file():
            yield f"{STUDY}/{name}", (study_folder / name).read_bytes()
    for run in sorted(runs, key=lambda run: run.published.name):
        for name in OF_RUN:
            if (run.folder / name).is_file():
                yield f"{STUDY}/{run.published.name}/{name}", (run.folder / name).read_bytes()
    for path in sorted(analysis.rglob("*")):
        inner = path.relative_to(analysis).as_posix()
        if path.is_file() and path.suffix in OF_ANALYSIS and not path.name.startswith("."):
            yield f"{STUDY}/{analysis.name}/{inner}", path.read_bytes()


def _readme(study_folder: Path, figures: Sequence[str]) -> str:
    name = study_folder.name
    commands = [f"    study {shlex.join(command)}\n" for command in recorded_commands(study_folder)]
    train = "".join(commands) or "    (not recorded)\n"
    analyze = shlex.join(["study", "analyze", f"name={name}", f"figures=[{','.join(figures)}]"])
    return TEXT.format(name=name, version=__version__, train=train, analyze=analyze)


def _versions(runs: Iterable[Existing]) -> list[dict[str, Any]]:
    """What trained the runs, once for each difference, with the number of runs."""
    found: dict[str, int] = {}
    for run in runs:
        known = {key: run.status.get(key) for key in ("versions", "device", "threads", "path", "numerics")}
        text = json.dumps(known, sort_keys=True)
        found[text] = found.get(text, 0) + 1
    return [{**json.loads(text), "runs": count} for text, count in sorted(found.items())]


def _add(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(path, EPOCH)
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
    archive.writestr(entry, content)


def _as_json(content: Mapping[str, Any] | Sequence[Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
