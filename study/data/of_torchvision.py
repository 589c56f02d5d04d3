"""torchvision's data sets of images, by the name of their class."""

import inspect
import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from filelock import FileLock

from study.data.arrays import of_arrays
from study.data.dataset import DataSet
from study.errors import ConfigError, one_line


def of_torchvision(root: str, dataset: str, arguments: Mapping[str, Any] | None = None) -> DataSet:
    """A data set of torchvision, downloaded to the data folder on first use.

    Its test set is the one that torchvision names so. Where there is none, a stratified sixth is drawn.

    Args:
        root: the data folder.
        dataset: name of a class of `torchvision.datasets`, such as `CIFAR10`.
        arguments: of the class, besides `root`, `train`, `download` and the transforms.

    Raises:
        ConfigError: there is no such class, it cannot be had, or its examples are not allowed.
    """
    if not isinstance(arguments or {}, Mapping):
        raise ConfigError(
            f'data.arguments={arguments}: must be a mapping. Example: "data.arguments={{split: letters}}"'
        )
    return _dataset(str(Path(root).expanduser()), dataset, json.dumps(dict(arguments or {}), sort_keys=True))


@lru_cache(maxsize=4)
def _dataset(root: str, name: str, arguments: str) -> DataSet:
    known = [key for key, value in vars(torchvision.datasets).items() if inspect.isclass(value)]
    if name not in known:
        close = get_close_matches(name, known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "Example: data.dataset=CIFAR10"
        raise ConfigError(f"data.dataset={name}: torchvision has no data set of this name. {hint}")
    make, given = getattr(torchvision.datasets, name), json.loads(arguments)
    parameters = inspect.signature(make).parameters
    parts: list[dict[str, Any]] = [{}]
    if "train" in parameters:
        parts = [{"train": True}, {"train": False}]
    elif "split" in parameters and "split" not in given:
        parts = [{"split": "train"}, {"split": "test"}]
    download = {"download": True} if "download" in parameters else {}
    where = f"data.dataset={name}"
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        with FileLock(Path(root) / f"{name}.lock"), redirect_stdout(sys.stderr):
            found = [make(root, **given, **part, **download) for part in parts]
        arrays = [_arrays(where, one) for one in found]
    except ConfigError:
        raise
    except Exception as error:  # torchvision raises what its sources raise
        raise ConfigError(
            f"{where}: torchvision cannot provide it in data.root={root} ({type(error).__name__}: {one_line(error)})."
            " Check data.dataset, data.arguments and the connection"
        ) from None
    content = {"x": arrays[0][0], "y": arrays[0][1]}
    if len(arrays) > 1:
        content |= {"x_test": arrays[1][0], "y_test": arrays[1][1]}
    made = of_arrays(name.lower(), where, content, places=())
    names = [str(name) for name in getattr(found[0], "classes", ())]
    return replace(made, class_names=tuple(names)) if len(names) == made.classes else made


def _arrays(where: str, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, height, width) or (n, channels, height, width) as uint8, and labels (n,)."""
    labels = getattr(dataset, "targets", getattr(dataset, "labels", None))
    images = getattr(dataset, "data", None)
    if images is None or labels is None:
        pairs = [dataset[number] for number in range(len(dataset))]
        sizes = {image.size for image, _ in pairs}
        if len(sizes) > 1:
            raise ConfigError(f"{where}: its images have {len(sizes)} different sizes. They must have one")
        images, labels = np.stack([np.asarray(image) for image, _ in pairs]), [label for _, label in pairs]
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    return images, np.asarray(labels, dtype=np.int64)
