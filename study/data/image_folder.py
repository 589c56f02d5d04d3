"""A data set from folders of images, one folder a class."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from study.data.arrays import of_arrays
from study.data.dataset import DataSet
from study.errors import ConfigError, faults, one_line

MODES = {"rgb": "RGB", "grey": "L"}
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def image_folder(path: str, mode: str = "rgb", size: int | None = None) -> DataSet:
    """The data set of a folder that has a folder of images for each class, `cats/1.png`.

    If it has the folders `train` and `test`, each of these has the classes. Otherwise a stratified sixth is the test
    set, the same one in every run.

    Args:
        path: the folder.
        mode: `rgb`, three channels, or `grey`, one.
        size: height and width to which images are scaled; None where all have one size.

    Raises:
        ConfigError: the folder cannot be read, or its content is not allowed.
    """
    if mode not in MODES:
        raise ConfigError(f"data.mode={mode}: allowed: {', '.join(MODES)}")
    if size is not None and size < 1:
        raise ConfigError(f"data.size={size}: must be a whole number ≥ 1, or null")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"data.path={path}: there is no such folder")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
    changed = max((file.stat().st_mtime_ns for file in files), default=0)
    return _dataset(folder.absolute(), path, mode, size, (len(files), changed))


@lru_cache(maxsize=4)
def _dataset(folder: Path, path: str, mode: str, size: int | None, _changed: tuple[int, int]) -> DataSet:
    parted = (folder / "train").is_dir() and (folder / "test").is_dir()
    where = f"data.path={path}"
    content = {}
    for key, part in (("", folder / "train"), ("_test", folder / "test")) if parted else (("", folder),):
        content[f"x{key}"], content[f"y{key}"] = _images(where, part, MODES[mode], size)
    return of_arrays(folder.name, where, content)


def _images(where: str, folder: Path, mode: str, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, height, width) or (n, 3, height, width), and the names of their folders (n,)."""
    images, labels, first = [], [], None
    for of_class in sorted(inner for inner in folder.iterdir() if inner.is_dir()):
        for file in sorted(inner for inner in of_class.iterdir() if inner.suffix.lower() in ENDINGS):
            try:
                with Image.open(file) as opened:
                    image = opened.convert(mode)
            except Exception as error:  # each format has its own errors for damaged files
                if faults.is_fault(error):
                    raise
                raise ConfigError(f"{where}: {file} is no image that can be read ({one_line(error)})") from None
            image = image.resize((size, size), Image.Resampling.BILINEAR) if size else image
            first = first or (file, image.size)
            if image.size != first[1]:
                raise ConfigError(
                    f"{where}: {first[0].name} has {first[1][0]}x{first[1][1]} pixels and {file.name} has"
                    f" {image.size[0]}x{image.size[1]}. Give one size to all: data.size=32"
                )
            images.append(np.asarray(image))
            labels.append(of_class.name)
    if not images:
        raise ConfigError(f"{where}: no images in {folder}. It must have a folder of images for each class")
    stacked = np.stack(images)
    return (stacked.transpose(0, 3, 1, 2) if stacked.ndim == 4 else stacked), np.array(labels)
