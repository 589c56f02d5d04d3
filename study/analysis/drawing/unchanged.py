"""Which figures need not be drawn again, since they would come out as they are.

A figure follows from the runs that it shows, the tables beside it, its own options, the style, and the code that draws.
All of these make its key, which is kept with hashes of its files. Where that is deleted, every figure is drawn.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

import study
from study.analysis.drawing.specs import Spec
from study.analysis.drawing.view import View
from study.analysis.reading.index import identity_of
from study.records.contract import FILES
from study.records.files import write_whole

DRAWN = ".figures-drawn.json"  # in a study's folder
Keys = Mapping[str, str | None]


def keys_of(specs: Sequence[Spec], view: View, selection: str, usetex: bool) -> Keys:
    """The key of each figure by name; None where a figure cannot have one, and must be drawn.

    That is so where the code that draws it is not this package's, or a file of a run has just been written.

    Args:
        specs: the figures.
        view: what they show.
        selection: a line on the figures that says which variants are shown.
        usetex: whether LaTeX sets the text.
    """
    runs = {  # as they were when they were read, and with what is read of them when they are drawn
        run: [view.study.entries[run].identity, identity_of(view.study.folder / run, FILES)] for run in view.rows["run"]
    }
    settled = all(identity is not None for both in runs.values() for identity in both)
    with mpl.rc_context(view.style.rc(usetex)):
        settings = repr(dict(mpl.rcParams))
    tables = [table.to_csv() for table in (view.rows, view.contrasts, view.best_of_n, view.trials)]
    shown = [runs, settings, tables, repr(view.looks), repr(view.style), view.primary, selection, _code()]
    found: dict[str, str | None] = {}
    for spec in specs:
        known = settled and spec.draw.__module__.startswith(f"{study.__name__}.")
        own = [spec.name, spec.draw.__module__, spec.draw.__qualname__, repr(spec.options), repr(spec.filter)]
        found[spec.name] = _hash(json.dumps([own, shown]).encode()) if known else None
    return found


def same(study_folder: Path, figures: Path, keys: Keys, kinds: Sequence[str]) -> set[str]:
    """The figures whose files are there as they were drawn, by the same key.

    Args:
        study_folder: outputs/<name>.
        figures: the folder of the files.
        keys: by the figures' names.
        kinds: suffixes of each figure's files.
    """
    drawn, files = _read(study_folder), _files(figures, keys, kinds)
    return {
        name for name, key in keys.items() if key is not None and drawn.get(name) == {"key": key, "files": files[name]}
    }


def remember(study_folder: Path, figures: Path, keys: Keys, kinds: Sequence[str]) -> None:
    """Note that figures have been drawn; see `same` for the arguments."""
    files = _files(figures, keys, kinds)
    drawn = {name: {"key": key, "files": files[name]} for name, key in keys.items()}
    write_whole(study_folder / DRAWN, json.dumps(_read(study_folder) | drawn, indent=1))


def _read(study_folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((study_folder / DRAWN).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _files(figures: Path, names: Iterable[str], kinds: Sequence[str]) -> dict[str, dict[str, str]]:
    """Hashes of the files of each figure, of those that are there."""
    files = {name: {kind: figures / f"{name}.{kind}" for kind in kinds} for name in names}
    return {
        name: {kind: _hash(file.read_bytes()) for kind, file in of.items() if file.is_file()}
        for name, of in files.items()
    }


def _code() -> list[str]:
    """This package's source, hashed, and the versions of what draws."""
    package = Path(study.__file__).parent
    source = b"".join(file.read_bytes() for file in sorted(package.rglob("*.py")))
    return [_hash(source), mpl.__version__, np.__version__, pd.__version__]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
