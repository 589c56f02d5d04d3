"""What may happen to a file of a run: on a disk, in a copy, or by hand."""

import csv
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

VALUES = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        3,
        0.98,
        1e300,
        -1e-300,
        float("inf"),
        float("nan"),
        10**25,
        "",
        "x",
        "λ",
        "complete",
    ),
    *("failed", "diverged", "running", "none", "l1", [], [1], ["x"], {}, {"a": 1}, {"train": "x"}, "0" * 64, "1e999"),
]
CELLS = [
    *("", "nan", "-1", "x", "1e999", "0.98", "0", "3", "inf", '"', '"a,b"', "1 2", "λ", "1e", "0x1", "\0"),
    *("9" * 400, "all", "test"),
]


def damaged(file: Path, other: Path, kind: str, seed: int) -> None:
    """Damage a file.

    Args:
        file: which; in its place comes another inode.
        other: the same file of another run.
        kind: one of `KINDS`.
        seed: of the choices that the kind leaves.
    """
    draw = random.Random(seed)
    content = file.read_bytes()
    file.unlink()
    if kind in PATHS:
        PATHS[kind](file, other)
    elif kind in BYTES:
        file.write_bytes(BYTES[kind](content, draw))
    else:
        file.write_bytes(_changed(file, content, draw))


def _changed(file: Path, content: bytes, draw: random.Random) -> bytes:
    """The same file with another value in it."""
    try:
        if file.suffix == ".npz":
            return _changed_arrays(content, draw)
        text = content.decode()
        if file.suffix in (".json", ".yaml"):
            loads, dumps = (json.loads, json.dumps) if file.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
            return dumps(_changed_tree(loads(text), draw)).encode()
        if file.suffix == ".jsonl":
            lines = text.splitlines()
            at = draw.randrange(len(lines))
            lines[at] = json.dumps(_changed_tree(json.loads(lines[at]), draw))
            return ("\n".join(lines) + "\n").encode()
        if file.suffix == ".csv":
            return _changed_rows(text, draw).encode()
    except ValueError:
        pass
    return content + b"x"


def _changed_tree(tree: Any, draw: random.Random) -> Any:
    """A tree of lists and mappings with one value changed, gone, or new."""
    if not isinstance(tree, dict | list) or not tree or draw.random() < 0.15:
        return draw.choice(VALUES)
    key = draw.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
    kind = draw.random()
    if kind < 0.15:
        del tree[key]
    elif kind < 0.25 and isinstance(tree, dict):
        tree[draw.choice(["state", "seed", "reg", "new", "1"])] = draw.choice(VALUES)
    else:
        tree[key] = _changed_tree(tree[key], draw)
    return tree


def _changed_rows(text: str, draw: random.Random) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    row = draw.randrange(len(rows))
    kind = draw.choice(["cell", "cell", "cell", "drop", "double", "swap", "column", "short", "long"])
    if kind == "cell" and rows[row]:
        rows[row][draw.randrange(len(rows[row]))] = draw.choice(CELLS)
    elif kind == "drop":
        del rows[row]
    elif kind == "double":
        rows.insert(row, rows[row])
    elif kind == "swap":
        rows[row], rows[-1] = rows[-1], rows[row]
    elif kind == "column":
        rows = [one[:-1] for one in rows]
    else:
        rows[row] = rows[row][:-1] if kind == "short" else [*rows[row], "1"]
    return "".join(",".join(one) + "\n" for one in rows)


def _changed_arrays(content: bytes, draw: random.Random) -> bytes:
    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    name = draw.choice(list(arrays))
    changes: list[Callable[[np.ndarray], Any]] = [
        lambda a: a[:-1],
        lambda a: a[:0],
        lambda a: a.astype(float) + 0.5,
        lambda a: a.astype(str),
        lambda a: a.astype(object),
        lambda a: a[None],
        lambda a: np.float64(3),
        lambda a: a[::-1],
    ]
    change = draw.randrange(len(changes) + 1)
    if change == len(changes):
        del arrays[name]
    else:
        arrays[name] = changes[change](arrays[name])
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 5) if content else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _overwritten(content: bytes, draw: random.Random) -> bytes:
    at, size = draw.randrange(len(content) + 1), draw.randint(1, 600)
    return content[:at] + draw.randbytes(size) + content[at + size :]


def _folder(file: Path, other: Path) -> None:
    file.mkdir()
    (file / "x").write_text("x")


def _itself(file: Path, other: Path) -> None:
    file.symlink_to(file.name)


BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": lambda content, draw: content[: draw.randrange(len(content) + 1)],
    "emptied": lambda content, draw: b"",
    "garbage": lambda content, draw: draw.randbytes(draw.randint(1, 3000)),
    "overwritten": _overwritten,
    "appended": lambda content, draw: (
        content + draw.choice([draw.randbytes(20), content, b"\n", b"1,2\n", b"\0" * 512])
    ),
    "flipped": _flipped,
    "zeroed": lambda content, draw: b"\0" * len(content),
}
PATHS: dict[str, Callable[[Path, Path], Any]] = {
    "gone": lambda file, other: None,
    "another's": lambda file, other: shutil.copyfile(other, file),
    "a folder": _folder,
    "a link": lambda file, other: file.symlink_to(other),
    "a link to nothing": lambda file, other: file.symlink_to("nowhere"),
    "a link to itself": _itself,
}
KINDS = [*BYTES, *PATHS, *["changed"] * 6]
