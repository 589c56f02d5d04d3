"""What is wrong with examples, labels and targets of a file of the user's, in one line each."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from study.errors import ConfigError
from study.tasks import TASKS


def checked_file(key: str, name: str) -> tuple[int, int]:
    """Time of the last change (ns) and size (bytes) of a file, which tell whether it must be read again.

    Args:
        key: the option that names the file, for messages.
        name: the file.

    Raises:
        ConfigError: it does not exist, cannot be read, or is a folder.
    """
    try:
        file = Path(name).expanduser()
        found = file.stat()
    except (OSError, ValueError, RuntimeError) as error:  # a byte 0 in a name, or an unknown ~user
        raise ConfigError(
            f"data.{key}={name}: the file cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    if not file.is_file():
        raise ConfigError(f"data.{key}={name}: is not a file. Give the name of a file")
    if not os.access(file, os.R_OK):
        raise ConfigError(f"data.{key}={name}: the file cannot be read (Permission denied)")
    return found.st_mtime_ns, found.st_size


def checked_features(where: str, x: np.ndarray, gaps: bool = False) -> np.ndarray:
    """Examples as uint8 or float32 (n, ...).

    Args:
        where: file and key, for messages.
        x: examples along the first axis.
        gaps: whether NaN is allowed, for values that are missing.

    Raises:
        ConfigError: no numbers, no examples, no features, or values that are not finite.
    """
    if x.dtype.kind not in "iuf":
        raise ConfigError(f"{where} has the type {x.dtype}. Allowed: numbers (uint8 or float32)")
    if x.ndim < 2:
        raise ConfigError(
            f"{where} has the shape {x.shape}. It must be (examples, features) or (examples, height, width)"
        )
    if 0 in x.shape:
        raise ConfigError(f"{where} is empty: its shape is {x.shape}")
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    sound = np.isfinite(x) | np.isnan(x) if gaps else np.isfinite(x)
    bad = np.flatnonzero(~sound.reshape(len(x), -1).all(axis=1))
    if len(bad):
        raise ConfigError(
            f"{where} has values that are not finite (NaN or infinity) in {len(bad)} examples, the first of them number"
            f" {bad[0]}. Remove or replace them"
        )
    with np.errstate(over="ignore"):
        found = x.astype(np.float32, order="C")
    if np.isinf(found).any():
        raise ConfigError(f"{where} has values beyond what float32 can hold. Scale them")
    return found


def checked_labels(where: str, y: np.ndarray, names: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as int64 (n,), and the names of the classes.

    Args:
        where: file and key, for messages.
        y: whole numbers from 0 on without gaps, or text, of which each distinct value is a class, in sorted order.
        names: of the classes, where they are known.

    Raises:
        ConfigError: other types, a class without examples, or fewer than two classes.
    """
    if y.ndim != 1:
        raise ConfigError(f"{where} has the shape {y.shape}. It must be (examples,): one label for each example")
    if y.dtype.kind in "OUSb":
        try:
            text = y.astype(str)
        except UnicodeDecodeError:
            raise ConfigError(f"{where} has bytes that are not ASCII. Save the labels as text or as numbers") from None
        known = tuple(names or sorted(set(text.tolist())))
        number = {name: i for i, name in enumerate(known)}
        unknown = sorted(set(text.tolist()) - set(known))
        if unknown:
            raise ConfigError(f"{where} has the label {unknown[0]!r}, which no training example has")
        y = np.array([number[name] for name in text.tolist()], dtype=np.int64)
    else:
        if y.dtype.kind not in "iu" and not (y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.round(y)).all()):
            raise ConfigError(
                f"{where} has the type {y.dtype}. Labels must be whole numbers from 0 on, or text. To predict numbers,"
                " give task=regression"
            )
        present = [int(label) for label in np.unique(y)]
        if present and present[0] < 0:
            raise ConfigError(f"{where} has the label {present[0]}. Labels must be whole numbers from 0 on, or text")
        gap = next((number for number, label in enumerate(present) if label != number), None)
        if names is None and gap is not None:
            raise ConfigError(
                f"{where} has labels up to {present[-1]}, but none is {gap}. Number the classes without gaps, or give"
                " text labels"
            )
        known = tuple(names or map(str, present))
        if present and present[-1] >= len(known):
            raise ConfigError(f"{where} has the label {present[-1]}, which no training example has")
        y = y.astype(np.int64)
    if names is None and len(known) < 2:
        raise ConfigError(f"{where} has {len(known)} class. At least two are required")
    return y, known


def checked_task(task: str) -> str:
    """Return a task that a data option was given.

    Raises:
        ConfigError: there is no such task.
    """
    if task not in TASKS:
        raise ConfigError(f"data.task={task}: allowed: {', '.join(TASKS)}")
    return task


def checked_targets(where: str, y: np.ndarray) -> np.ndarray:
    """Targets of regression as float32 (n, k).

    Args:
        where: file and key, for messages.
        y: numbers, (n,) or (n, k) for k targets of each example.

    Raises:
        ConfigError: no numbers, another shape, or values that are not finite.
    """
    if y.dtype.kind not in "iuf":
        raise ConfigError(f"{where} has the type {y.dtype}. task=regression requires numbers")
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise ConfigError(
            f"{where} has the shape {y.shape}. task=regression requires (examples,), or (examples, targets)"
        )
    y = y.reshape(len(y), -1)
    with np.errstate(over="ignore"):
        found = y.astype(np.float32, order="C")
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise ConfigError(
            f"{where} has targets that are not finite in float32 in {len(bad)} examples, the first of them number"
            f" {bad[0]}. Remove or replace them"
        )
    return found


def duplicates(one: np.ndarray, other: np.ndarray | None = None) -> int:
    """How many examples of `one` are in `other` as well; or, without it, occur in `one` before."""
    rows = _hashes(one)
    if other is None:
        return len(rows) - len(set(rows))
    known = set(_hashes(other))
    return sum(row in known for row in rows)


def _hashes(x: np.ndarray) -> list[int]:
    """A number for each example, equal for equal examples."""
    return [hash(example.tobytes()) for example in x]
