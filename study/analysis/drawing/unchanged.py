"""Find the figures that need not be drawn again because nothing they depend on has changed.

A figure depends on its runs, the tables of the analysis, its options, the style, and the code that draws it. The key of
a figure is a hash of all these. A file in the study's folder stores the key together with hashes of the figure's files.
If that file is deleted, every figure is drawn.
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

DRAWN = ".figures-drawn.json"  # in the folder of a study
Keys = Mapping[str, str | None]


def keys_of(specs: Sequence[Spec], view: View, selection: str, usetex: bool) -> Keys:
    """Return the key of each figure by name; None for a figure that has no key and must be drawn.

    A figure has no key if a user's code draws it, or if a file of a run has just been written.

    Args:
        specs: the figures.
        view: the runs to draw.
        selection: the line on the figures that states which variants are shown.
        usetex: whether LaTeX sets the text.
    """
    runs = {  # at the time the study was read, and now: drawing reads further files
        run: [view.study.entries[run].identity, identity_of(view.study.place(run), FILES)] for run in view.rows["run"]
    }
    settled = all(identity is not None for both in runs.values() for identity in both)
    with mpl.rc_context(view.style.rc(usetex)):
        settings = repr(dict(mpl.rcParams))
    own_tables = [view.rows, view.contrasts, view.best_of_n, view.trials, view.ranks, view.pairs, view.components]
    tables = [table.to_csv() for table in [*own_tables, view.interactions, view.answers]]
    seen = [
        repr(view.looks),
        repr(view.options),
        repr(view.style),
        repr((view.notes, view.about)),
        view.primary,
        selection,
    ]
    shown = [runs, settings, tables, *seen, _code()]
    found: dict[str, str | None] = {}
    for spec in specs:
        known = settled and spec.draw.__module__.startswith(f"{study.__name__}.")
        own = [
            spec.name,
            spec.draw.__module__,
            spec.draw.__qualname__,
            repr(spec.options),
            repr(spec.filter),
            spec.description,
        ]
        found[spec.name] = _hash(json.dumps([own, shown]).encode()) if known else None
    return found


def same(study_folder: Path, figures: Path, keys: Keys, kinds: Sequence[str]) -> set[str]:
    """Return the names of the figures whose key and files are unchanged since they were drawn.

    Args:
        study_folder: outputs/<name>.
        figures: the folder of the figures' files.
        keys: keys by the names of figures.
        kinds: suffixes of the files of each figure.
    """
    drawn, files = _read(study_folder), _files(figures, keys, kinds)
    return {
        name for name, key in keys.items() if key is not None and drawn.get(name) == {"key": key, "files": files[name]}
    }


def remember(study_folder: Path, figures: Path, keys: Keys, kinds: Sequence[str]) -> None:
    """Store the keys and file hashes of figures that have been drawn; see `same` for the arguments."""
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
    """Return the hashes of the existing files of each figure, by suffix."""
    files = {name: {kind: figures / f"{name}.{kind}" for kind in kinds} for name in names}
    return {
        name: {kind: _hash(file.read_bytes()) for kind, file in of.items() if file.is_file()}
        for name, of in files.items()
    }


def _code() -> list[str]:
    """Return the hash of this package's source, and the versions of the libraries that draw."""
    package = Path(study.__file__).parent
    source = b"".join(file.read_bytes() for file in sorted(package.rglob("*.py")))
    return [_hash(source), mpl.__version__, np.__version__, pd.__version__]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
