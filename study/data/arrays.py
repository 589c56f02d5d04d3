"""A data set from arrays in a file of the user's."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch

from study.data.checks import checked_features, checked_file, checked_labels, checked_targets, checked_task, duplicates
from study.data.dataset import DataSet, RawImages, sha256
from study.data.splits import VAL_SHARE, drawn_test
from study.errors import ConfigError
from study.tasks import CLASSIFICATION, REGRESSION

KEYS = ("x", "y", "x_test", "y_test")


def arrays(path: str, task: str = CLASSIFICATION) -> DataSet:
    """The data set of an .npz file.

    Args:
        path: file with the arrays `x` (examples along the first axis) and `y` (labels), and, if there is a test set,
            `x_test` and `y_test`. Without them a sixth is drawn as test set, the same one in every run.
        task: `classification`; or `regression`, where `y` has numbers, (examples,) or (examples, targets).

    Raises:
        ConfigError: the file cannot be read, or its content is not allowed.
    """
    changed = checked_file("path", path)
    return _dataset(Path(path).expanduser().absolute(), path, changed, checked_task(task))


@lru_cache(maxsize=4)
def _dataset(file: Path, path: str, _changed: tuple[int, int], task: str) -> DataSet:
    return of_arrays(file.stem, f"data.path={path}", _content(file, path), task=task)


def _content(file: Path, path: str) -> dict[str, np.ndarray]:
    other = f"data.path={path}: not an .npz file of plain arrays. numpy.savez(path, x=..., y=...) writes one"
    if not is_zipfile(file):
        raise ConfigError(other)
    try:
        with np.load(file, allow_pickle=False) as content:
            read = {key: content[key] for key in KEYS if key in content.files}
            found = {key: array for key, array in read.items() if isinstance(array, np.ndarray)}
            others = content.files
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise ConfigError(f"{other} ({error})") from None
    if len(found) < len(read):
        raise ConfigError(other)
    missing = [key for key in ("x", "y") if key not in found]
    if missing:
        raise ConfigError(f"data.path={path} has no array {missing[0]}; found: {', '.join(others) or 'none'}")
    if ("x_test" in found) != ("y_test" in found):
        raise ConfigError(f"data.path={path}: x_test and y_test belong together. Give both or none")
    return found


def of_arrays(
    name: str,
    where: str,
    content: Mapping[str, np.ndarray],
    places: tuple[str, ...] = ("path",),
    task: str = CLASSIFICATION,
) -> DataSet:
    """The data set of checked arrays.

    Args:
        name: of the data set.
        where: file, for messages.
        content: `x`, `y`, and perhaps `x_test` and `y_test`.
        places: options that say where the data are.
        task: the task, which says what `y` holds: labels or numbers.

    Raises:
        ConfigError: an array is not allowed.
    """
    x = checked_features(f"{where}: x", content["x"])
    y, classes = checked_y(f"{where}: y", content["y"], task)
    same_length(where, "x", x, "y", y)
    given = "x_test" in content
    if given:
        x_test = checked_features(f"{where}: x_test", content["x_test"])
        y_test, _ = checked_y(f"{where}: y_test", content["y_test"], task, classes)
        same_length(where, "x_test", x_test, "y_test", y_test)
        if x_test.shape[1:] != x.shape[1:] or x_test.dtype != x.dtype:
            raise ConfigError(
                f"{where}: examples of x have the shape {x.shape[1:]} and type {x.dtype}, those of x_test"
                f" {x_test.shape[1:]} and {x_test.dtype}. They must agree"
            )
        if y_test.shape[1:] != y.shape[1:]:
            raise ConfigError(
                f"{where}: y has {y.shape[1]} targets of an example, and y_test has {y_test.shape[1]}. They must agree"
            )
    else:
        test, train = drawn_test(y)
        x, y, x_test, y_test = x[train], y[train], x[test], y[test]
    return dataset_of(name, where, (x, y, x_test, y_test), classes, given, places, task=task)


def checked_y(
    where: str, y: np.ndarray, task: str, names: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return checked labels and the names of their classes; for regression targets, and no names.

    Args:
        where: file and key, for messages.
        y: labels, (n,), or targets, (n,) or (n, k).
        task: `classification` or `regression`.
        names: of the classes, where they are known.

    Raises:
        ConfigError: a label or a target is not allowed.
    """
    return (checked_targets(where, y), ()) if task == REGRESSION else checked_labels(where, y, names)


def same_length(where: str, one: str, x: np.ndarray, other: str, y: np.ndarray) -> None:
    """Raise ConfigError unless there is a label for each example."""
    if len(x) != len(y):
        raise ConfigError(f"{where}: {one} has {len(x)} examples and {other} has {len(y)} labels. They must agree")


def dataset_of(
    name: str,
    where: str,
    parts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    classes: tuple[str, ...],
    test_is_official: bool,
    places: tuple[str, ...] = ("path",),
    impute: str | None = None,
    task: str = CLASSIFICATION,
) -> DataSet:
    """A data set in memory.

    Args:
        name: of the data set.
        where: file, for messages.
        parts: training examples and labels (or targets), test examples and labels, checked.
        classes: names of the classes; none for regression.
        test_is_official: whether the test set came with the data.
        places: options that say where the data are.
        impute: what replaces missing values, NaN; see `splits.imputed`.
        task: `classification` or `regression`.

    Raises:
        ConfigError: there are too few training examples.
    """
    x, y, x_test, _ = parts
    if task == REGRESSION:
        if len(y) < 2 * VAL_SHARE:
            raise ConfigError(
                f"{where}: {len(y)} training examples. task=regression requires at least {2 * VAL_SHARE}: a sixth of"
                " them is the validation set, and R² requires two"
            )
        if (y == y[:1]).all(axis=0).any():
            raise ConfigError(f"{where}: a target is the same in all training examples. Two values are required")
    elif (least := int(np.bincount(y, minlength=len(classes)).min())) < 2:
        raise ConfigError(
            f"{where}: a class has {least} training examples, of {len(y)} for {len(classes)} classes. Each class"
            " requires at least 2, one to train on and one to validate"
        )
    kept = RawImages(*(torch.from_numpy(part) for part in parts))
    warnings = []
    if twice := duplicates(x_test, x):
        warnings.append(f"{name}: {twice} of {len(x_test)} test examples are in the training set as well")
    if twice := duplicates(x):
        warnings.append(
            f"{name}: {twice} of {len(x)} training examples repeat earlier ones, so the validation set can contain"
            " examples that were trained on"
        )
    return DataSet(
        name=name,
        image_shape=x.shape[1:],
        classes=y.shape[1] if task == REGRESSION else len(classes),
        train_count=len(x),
        pixel_max=255 if x.dtype == np.uint8 else 1,
        test_is_official=test_is_official,
        checksums={key: sha256(part) for key, part in zip(KEYS, parts, strict=True)},
        read=partial(_kept, kept),
        class_names=classes,
        task=task,
        places=places,
        impute=impute,
        warnings=tuple(warnings),
    )


def _kept(raw: RawImages, _root: Path) -> RawImages:
    return raw
