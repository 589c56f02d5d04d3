"""Get the files of Fashion-MNIST from the data folder, Debian's package, torchvision or apt-get, and check them."""

import gzip
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from filelock import FileLock

from study.data.dataset import check_sum, sha256
from study.errors import StudyError

# SHA-256 of the decompressed files. The .gz files differ between distributors of the same data.
CHECKSUMS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
DEBIAN_PACKAGE = "dataset-fashion-mnist"
TIMEOUT = 60  # seconds without an answer after which a download fails


def raw_folder(root: Path) -> Path:
    """Return the folder where torchvision expects the decompressed files."""
    return root / "FashionMNIST" / "raw"


def read_files(root: Path) -> dict[str, np.ndarray]:
    """Return the contents of the four files, uint8 (bytes,) each, after a check of their checksums.

    If files are missing in the data folder, it gets them from the first source that works.

    Raises:
        StudyError: a file is not that of Fashion-MNIST, or no source works.
    """
    raw = raw_folder(root)
    if not _complete(raw):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "FashionMNIST.lock"):
            if not _complete(raw):  # another process may have got them in the meantime
                _fetch(root)
    return _checked(raw, "Delete the file to download it again")


def _complete(raw: Path) -> bool:
    return all((raw / name).is_file() for name in CHECKSUMS)


def _checked(folder: Path, way_out: str) -> dict[str, np.ndarray]:
    files = {name: np.fromfile(folder / name, np.uint8) for name in CHECKSUMS}
    for name, expected in CHECKSUMS.items():
        check_sum(str(folder / name), sha256(files[name]), expected, way_out)
    return files


def _fetch(root: Path) -> None:
    sources: list[tuple[str, Callable[[Path], Path]]] = [
        (f"Debian's package ({DEBIAN_FOLDER})", _from_debian),
        ("torchvision's download", _from_torchvision),
        ("apt-get download", _from_apt),
    ]
    failures = []
    for source, deliver in sources:
        with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as folder:
            try:
                files = deliver(Path(folder))
                _checked(files, "This source is not used")
            except Exception as error:  # after any error, the next source may work
                reason = " ".join(str(error).split()) or type(error).__name__
                failures.append(f"{source}: {reason}")
                continue
            raw = raw_folder(root)
            raw.mkdir(parents=True, exist_ok=True)
            for name in CHECKSUMS:
                os.replace(files / name, raw / name)
            print(f"Fashion-MNIST: got the files from {source}, now in {raw}", file=sys.stderr)
            return
    raise StudyError(
        "Fashion-MNIST is not available: "
        + "; ".join(failures)
        + f". Put its four decompressed IDX files into {raw_folder(root)},"
        " or use data=fashion_mnist_mini or data=digits, which need no download"
    )


def _from_debian(into: Path) -> Path:
    return _unpack(DEBIAN_FOLDER, into)


def _unpack(folder: Path, into: Path) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError("not installed")
    for name in CHECKSUMS:
        with gzip.open(folder / f"{name}.gz") as packed, open(into / name, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    return into


def _from_torchvision(into: Path) -> Path:
    from torchvision.datasets import FashionMNIST  # takes a second to import, for a download that happens once

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none, so a proxy that does not answer would block the study
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            FashionMNIST(str(into), train=True, download=True)
    finally:
        socket.setdefaulttimeout(timeout)
    return raw_folder(into)


def _from_apt(into: Path) -> Path:
    """Download and unpack Debian's package. A separate folder for the package lists makes root unnecessary."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise FileNotFoundError(f"no {program} on this machine")
    lists, cache = into / "lists", into / "cache"
    (lists / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    options = {
        "Dir::State::Lists": lists,
        "Dir::Cache": cache,
        "APT::Sandbox::User": "",  # apt run by root would switch to a user without write permission here
        "Acquire::http::Timeout": TIMEOUT,
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    _call([*apt, "update"], into)
    _call([*apt, "download", DEBIAN_PACKAGE], into)
    (package,) = into.glob(f"{DEBIAN_PACKAGE}_*.deb")
    _call(["dpkg-deb", "-x", str(package), str(into / "package")], into)
    return _unpack(into / "package" / DEBIAN_FOLDER.relative_to("/"), into)


def _call(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10 * TIMEOUT, check=False)
    if done.returncode:
        message = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"{command[0]} failed: {message[-1]}")
