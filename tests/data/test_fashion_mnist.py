"""Fashion-MNIST's files: read from IDX, checked at every load, fetched by one process, refused when they are others."""

import gzip
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from study.data import fashion_mnist, fashion_mnist_sources
from study.data.dataset import sha256
from study.errors import StudyError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    """The IDX format: magic number with type and dimensions, sizes, values."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


CONTENT = {
    "train-images-idx3-ubyte": idx(IMAGES),
    "train-labels-idx1-ubyte": idx(LABELS),
    "t10k-images-idx3-ubyte": idx(IMAGES[:5]),
    "t10k-labels-idx1-ubyte": idx(LABELS[:5]),
}


@pytest.fixture
def small_sums(monkeypatch):
    """A data set small enough for a test to write; the code is the real one, the sums are this data set's."""
    for name, content in CONTENT.items():
        monkeypatch.setitem(fashion_mnist_sources.CHECKSUMS, name, sha256(content))


@pytest.fixture
def no_sources(monkeypatch, tmp_path):
    """A machine without Debian's package, without network, without apt-get."""
    monkeypatch.setattr(fashion_mnist_sources, "DEBIAN_FOLDER", tmp_path / "not-installed")
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("PATH", "/nonexistent")


def put_files(root: Path) -> Path:
    raw = fashion_mnist_sources.raw_folder(root)
    raw.mkdir(parents=True)
    for name, content in CONTENT.items():
        (raw / name).write_bytes(content)
    return raw


def put_debian(folder: Path) -> None:
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


def test_a_folder_that_holds_the_files_is_read(tmp_path, small_sums, no_sources):
    put_files(tmp_path)
    raw = fashion_mnist.full().read(tmp_path)
    np.testing.assert_array_equal(raw.train_images, IMAGES)
    np.testing.assert_array_equal(raw.train_labels, LABELS)
    np.testing.assert_array_equal(raw.test_images, IMAGES[:5])


def test_other_bytes_are_refused_naming_file_expected_and_found(tmp_path, small_sums, no_sources):
    file = put_files(tmp_path) / "t10k-images-idx3-ubyte"
    file.write_bytes(idx(IMAGES[1:6]))
    with pytest.raises(StudyError) as error:
        fashion_mnist.full().read(tmp_path)
    for part in (
        str(file),
        sha256(idx(IMAGES[1:6])),
        fashion_mnist_sources.CHECKSUMS[file.name],
        "Delete the file",
    ):
        assert part in str(error.value)


def test_debians_package_is_unpacked_into_the_data_folder(tmp_path, small_sums, no_sources, monkeypatch, capsys):
    put_debian(tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist_sources, "DEBIAN_FOLDER", tmp_path / "debian")
    fashion_mnist_sources.read_files(tmp_path / "data")
    assert {p.name for p in fashion_mnist_sources.raw_folder(tmp_path / "data").iterdir()} == set(CONTENT)
    assert "Debian's package" in capsys.readouterr().err
    assert not list((tmp_path / "data").glob(".fetching*"))


def test_one_fetches_and_the_others_wait(tmp_path, small_sums, no_sources, monkeypatch, capsys):
    put_debian(tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist_sources, "DEBIAN_FOLDER", tmp_path / "debian")
    threads = [threading.Thread(target=fashion_mnist_sources.read_files, args=[tmp_path / "data"]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capsys.readouterr().err.count("Fashion-MNIST: got the files from") == 1


def test_if_every_source_fails_each_is_named_with_its_reason(tmp_path, small_sums, no_sources):
    with pytest.raises(StudyError) as error:
        fashion_mnist_sources.read_files(tmp_path / "data")
    for part in (
        "Debian's package",
        "not installed",
        "torchvision's download",
        "no apt-get",
        "fashion_mnist_mini",
        "digits",
    ):
        assert part in str(error.value)


def test_a_source_with_other_bytes_is_not_taken(tmp_path, no_sources, monkeypatch):
    put_debian(tmp_path / "debian")  # the real sums are in force: these are other bytes
    monkeypatch.setattr(fashion_mnist_sources, "DEBIAN_FOLDER", tmp_path / "debian")
    with pytest.raises(StudyError, match=r"SHA-256 .*, not .* as in the data set"):
        fashion_mnist_sources.read_files(tmp_path / "data")
    assert not fashion_mnist_sources.raw_folder(tmp_path / "data").exists()
