"""A data set from arrays in a file of the user's."""

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch

from study.data.checks import checked_features, checked_file, checked_labels, duplicates
from study.data.dataset import DataSet, RawImages, sha256
from study.data.splits import drawn_test
from study.errors import ConfigError

KEYS = ("x", "y", "x_test", "y_test")


def arrays(path: str) -> DataSet:
    """The data set of an .npz file.

    Args:
        path: file with the arrays `x` (examples along the first axis) and `y` (labels), and, if there is a test set,
            `x_test` and `y_test`. Without them a stratified sixth is drawn as test set, the same one in every run.

    Raises:
        ConfigError: the file cannot be read, or its content is not allowed.
    """
    changed = checked_file("path", path)
    return _dataset(Path(path).expanduser().absolute(), path, changed)


@lru_cache(maxsize=4)
def _dataset(file: Path, path: str, _changed: tuple[int, int]) -> DataSet:
    return of_arrays(file.stem, f"data.path={path}", _content(file, path))


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


def of_arrays(name: str, where: str, content: Mapping[str, np.ndarray], places: tuple[str, ...] = ("path",)) -> DataSet:
    """The data set of checked arrays.

    Args:
        name: of the data set.
        where: file, for messages.
        content: `x`, `y`, and perhaps `x_test` and `y_test`.
        places: options that say where the data are.

    Raises:
        ConfigError: an array is not allowed.
    """
    x = checked_features(f"{where}: x", content["x"])
    y, classes = checked_labels(f"{where}: y", content["y"])
    same_length(where, "x", x, "y", y)
    given = "x_test" in content
    if given:
        x_test = checked_features(f"{where}: x_test", content["x_test"])
        y_test, _ = checked_labels(f"{where}: y_test", content["y_test"], classes)
        same_length(where, "x_test", x_test, "y_test", y_test)
        if x_test.shape[1:] != x.shape[1:] or x_test.dtype != x.dtype:
            raise ConfigError(
                f"{where}: examples of x have the shape {x.shape[1:]} and type {x.dtype}, those of x_test"
                f" {x_test.shape[1:]} and {x_test.dtype}. They must agree"
            )
    else:
        test, train = drawn_test(y)
        x, y, x_test, y_test = x[train], y[train], x[test], y[test]
    return dataset_of(name, where, (x, y, x_test, y_test), classes, given, places)


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
) -> DataSet:
    """A data set in memory.

    Args:
        name: of the data set.
        where: file, for messages.
        parts: training examples and labels, test examples and labels, checked.
        classes: names of the classes.
        test_is_official: whether the test set came with the data.
        places: options that say where the data are.
        impute: what replaces missing values, NaN; see `splits.imputed`.

    Raises:
        ConfigError: fewer training examples than classes need.
    """
    x, y, x_test, _ = parts
    least = int(np.bincount(y, minlength=len(classes)).min())
    if least < 2:
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
        classes=len(classes),
        train_count=len(x),
        pixel_max=255 if x.dtype == np.uint8 else 1,
        test_is_official=test_is_official,
        checksums={key: sha256(part) for key, part in zip(KEYS, parts, strict=True)},
        read=partial(_kept, kept),
        class_names=classes,
        places=places,
        impute=impute,
        warnings=tuple(warnings),
    )


def _kept(raw: RawImages, _root: Path) -> RawImages:
    return raw
