"""Data of the user's own that make no sense: each gets one line, exit status 1, and leaves nothing on disk."""

import gzip
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.data.test_arrays import as_idx

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(60, 4)), np.arange(60) % 2
PICTURES = RANDOM.integers(0, 256, (60, 4, 4)).astype(np.uint8)


def npz(**content):
    return lambda file: np.savez(file.open("wb"), **{"x": X, "y": Y, **content})


def text(content):
    return lambda file: file.write_bytes(content if isinstance(content, bytes) else content.encode())


def table(rows="", header="a,b,kind", count=60):
    lines = [f"{i % 7},{i % 5}.5,{'xy'[i % 2]}" for i in range(count)]
    return text("\n".join([header, *lines]) + f"\n{rows}")


def cut_zip(file):
    np.savez_compressed(file, x=X, y=Y)
    file.write_bytes(file.read_bytes()[:-200])


def damaged_zip(file):
    np.savez_compressed(file, x=X, y=Y)
    content = bytearray(file.read_bytes())
    content[200:260] = bytes(60)
    file.write_bytes(content)


def foreign_zip(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"no array")
        archive.writestr("y.npy", b"no array")


def objects(file):
    np.savez(file, x=np.array([[1, None]] * 60, dtype=object), y=Y)


def folder(file):
    file.mkdir()


ARRAYS = {
    "missing": (None, "the file cannot be read (No such file or directory)"),
    "folder": (folder, "data.path=f.npz: is not a file. Give the name of a file"),
    "empty": (text(""), "not an .npz file"),
    "text": (text("a,b\n1,2\n"), "not an .npz file"),
    "npy": (lambda file: np.save(file.open("wb"), X), "not an .npz file"),
    "pickle": (text(pickle.dumps({"x": X})), "not an .npz file"),
    "cut zip": (cut_zip, "not an .npz file"),
    "damaged zip": (damaged_zip, "not an .npz file"),
    "foreign zip": (foreign_zip, "not an .npz file"),
    "objects": (objects, "not an .npz file of plain arrays"),
    "wrong keys": (lambda file: np.savez(file, X=X, labels=Y), "has no array x; found: X, labels"),
    "one label less": (npz(y=Y[:-1]), "60 examples and y has 59 labels"),
    "NaN": (npz(x=np.where(X > 2, np.nan, X)), "not finite"),
    "infinite": (npz(x=np.where(X > 2, np.inf, X)), "not finite"),
    "huge": (npz(x=X * 1e300), "beyond what float32 can hold"),
    "complex": (npz(x=X * 1j), "Allowed: numbers"),
    "text examples": (npz(x=X.astype(str)), "Allowed: numbers"),
    "dates": (npz(x=X.astype("datetime64[s]")), "Allowed: numbers"),
    "bool": (npz(x=X > 0), "Allowed: numbers"),
    "scalar": (npz(x=np.float32(1)), "has the shape ()"),
    "no examples": (npz(x=X[:0], y=Y[:0]), "is empty"),
    "no features": (npz(x=X[:, :0]), "is empty"),
    "one class": (npz(y=Y * 0), "has 1 class"),
    "negative": (npz(y=Y - 1), "has the label -1"),
    "hole": (npz(y=Y * 2), "none is 1"),
    "huge label": (npz(y=Y * 10**12), "labels up to"),
    "huge unsigned label": (npz(y=Y.astype(np.uint64) * np.uint64(2**63)), "label"),
    "NaN label": (npz(y=np.where(Y == 1, np.nan, 0)), "whole numbers from 0 on"),
    "fraction label": (npz(y=Y + 0.5), "whole numbers from 0 on"),
    "complex label": (npz(y=Y * 1j), "whole numbers from 0 on"),
    "date label": (npz(y=Y.astype("datetime64[s]")), "whole numbers from 0 on"),
    "byte label": (npz(y=np.array([b"\xff", b"a"])[Y]), "has bytes that are not ASCII"),
    "duration label": (npz(y=Y.astype("timedelta64[s]")), "whole numbers from 0 on"),
    "one-hot": (npz(y=np.eye(2)[Y]), "one label for each example"),
    "scalar label": (npz(y=np.int64(1)), "one label for each example"),
    "names of examples as labels": (npz(y=np.array([f"row {i}" for i in range(60)])), "of 50 for 60 classes"),
    "a class each": (npz(y=np.arange(60)), "of 50 for 60 classes"),
    "fewer than classes": (npz(x=X[:2], y=Y[:2]), "a class has 1 training examples"),
    "test of other features": (npz(x_test=X[:, :2], y_test=Y), "They must agree"),
    "test of other type": (npz(x_test=PICTURES[:, 0], y_test=Y), "They must agree"),
    "test without labels": (npz(x_test=X), "belong together"),
    "test of other classes": (npz(x_test=X, y_test=Y + 5), "which no training example has"),
    "empty test": (npz(x_test=X[:0], y_test=Y[:0]), "is empty"),
}
CSV = {
    "missing": (None, (), "No such file"),
    "folder": (folder, (), "data.path=f.csv: is not a file"),
    "empty": (text(""), (), "not a CSV file with a header"),
    "header only": (text("a,b,kind\n"), (), "has no rows below its header"),
    "binary": (text(bytes(range(256)) * 20), (), "not a CSV file with a header"),
    "zeros": (text(bytes(3000)), (), "f.csv"),
    "npz": (npz(), (), "is not UTF-8 text"),
    "latin-1": (
        text("größe,kind\n1,x\n".encode("latin-1")),
        (),
        "is not UTF-8 text. Save it as CSV in UTF-8",
    ),
    "target not there": (table(), ("data.target=species",), "has no such column. Its columns: a, b, kind"),
    "no header": (text("1,2,x\n3,4,y\n" * 30), (), "has no such column"),
    "wrong separator": (table(header="a;b;kind"), (), "has no such column"),
    "column not there": (table(), ("data.columns=[a,c]",), "has no column c"),
    "a column twice": (table(), ("data.columns=[a,a]",), "data.columns=['a', 'a']: a is given twice"),
    "no column": (table(), ("data.columns=[]",), "At least one feature is required"),
    "target as a feature": (table(), ("data.columns=[kind]",), "the target kind cannot be a feature"),
    "a header twice": (table(header="a,a,kind"), (), "two columns have the name a. Rename one"),
    "more cells than columns": (table("1,2,x,9\n"), (), "not a CSV file with a header"),
    "gaps": (table(",,x\n"), (), "values are missing in 1 rows"),
    "no label": (table("1,2,\n"), (), "1 rows have no kind"),
    "infinite": (table("inf,2,x\n"), (), "not finite"),
    "one class": (text("a,kind\n" + "1,x\n" * 30), (), "has 1 class"),
    "a class each": (text("a,kind\n" + "".join(f"{i},row {i}\n" for i in range(60))), (), "of 50 for 60 classes"),
    "numbers as labels": (text("a,kind\n" + "".join(f"{i},{i * 0.37}\n" for i in range(60))), (), "whole numbers"),
    "holes": (text("a,kind\n" + "".join(f"{i},{i % 2 * 5}\n" for i in range(60))), (), "none is 1"),
    "negative": (text("a,kind\n" + "".join(f"{i},{i % 2 - 1}\n" for i in range(60))), (), "has the label -1"),
    "many texts": (
        text("a,kind\n" + "".join(f"row {i},{i % 2}\n" for i in range(150))),
        (),
        "has 150 different texts",
    ),
    "only the target": (text("kind\n" + "x\ny\n" * 30), (), "At least one feature is required"),
    "few": (text("a,kind\n1,x\n2,y\n"), (), "a class has 1 training examples"),
    "no separator": (table(), ("data.separator=''",), "data.separator"),
    "separator of a quote": (table(), ("data.separator='\"'",), "data.separator"),
    "missing=zero": (table(), ("data.missing=zero",), "allowed: refuse, mean, median"),
    "test file not there": (table(), ("data.test_path=none.csv",), "data.test_path=none.csv: the file cannot be read"),
    "test file of other columns": (table(), ("data.test_path=other.csv",), "has no column b"),
}
IDX = {
    "missing": (None, text(as_idx(Y.astype(np.uint8))), "No such file"),
    "folder": (folder, text(as_idx(Y.astype(np.uint8))), "data.images=f.images: is not a file"),
    "empty": (text(""), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "text": (text("hello, world, this is text"), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "wrong magic": (
        text(b"\x01\x00" + as_idx(PICTURES)[2:]),
        text(as_idx(Y.astype(np.uint8))),
        "its first bytes are not 0",
    ),
    "unknown type": (text(b"\0\0\x63" + as_idx(PICTURES)[3:]), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "cut": (text(as_idx(PICTURES)[:-9]), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "longer": (text(as_idx(PICTURES) + b"123"), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "cut gzip": (text(gzip.compress(as_idx(PICTURES))[:-40]), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "damaged gzip": (
        text(gzip.compress(as_idx(PICTURES))[:40] + bytes(200)),
        text(as_idx(Y.astype(np.uint8))),
        "not an IDX file",
    ),
    "header alone": (text(b"\0\0\x08\x03\xff\xff\xff\xff"), text(as_idx(Y.astype(np.uint8))), "not an IDX file"),
    "images and labels exchanged": (
        text(as_idx(Y.astype(np.uint8))),
        text(as_idx(PICTURES)),
        "has the shape (60,)",
    ),
    "labels missing": (text(as_idx(PICTURES)), None, "data.labels=f.labels: the file cannot be read"),
    "fewer labels": (text(as_idx(PICTURES)), text(as_idx(Y[:50].astype(np.uint8))), "60 examples and y has 50 labels"),
    "one class": (text(as_idx(PICTURES)), text(as_idx(np.zeros(60, np.uint8))), "has 1 class"),
    "holes": (text(as_idx(PICTURES)), text(as_idx((Y * 3).astype(np.uint8))), "none is 1"),
    "no dimensions": (text(b"\0\0\x08\x00"), text(as_idx(Y.astype(np.uint8))), "f.images"),
}


def refused(study, tmp_path, message, *arguments):
    before = sorted(tmp_path.rglob("*"))
    result = study(*arguments, "epochs=1", "workers=1", "model.hidden=[3]")
    assert result.code == 1, result.out
    assert result.err.count("\n") == 1, result.err
    assert result.err.startswith("study: error: ")
    assert message in result.err
    assert result.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(study, tmp_path, case):
    write, message = ARRAYS[case]
    if write:
        write(tmp_path / "f.npz")
    refused(study, tmp_path, message, "data=arrays", "data.path=f.npz")


@pytest.mark.parametrize("case", CSV)
def test_csv(study, tmp_path, case):
    write, options, message = CSV[case]
    if write:
        write(tmp_path / "f.csv")
    (tmp_path / "other.csv").write_text("a,kind\n1,x\n2,y\n")
    target = () if any("target" in option for option in options) else ("data.target=kind",)
    refused(study, tmp_path, message, "data=csv", "data.path=f.csv", *target, *options)


@pytest.mark.parametrize("case", IDX)
def test_idx(study, tmp_path, case):
    images, labels, message = IDX[case]
    for name, write in {"images": images, "labels": labels}.items():
        if write:
            write(tmp_path / f"f.{name}")
    refused(study, tmp_path, message, "data=idx", "data.images=f.images", "data.labels=f.labels")


def picture(file, size=(5, 5), mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (*size, 3)).astype(np.uint8)).convert(mode).save(file)


def pets(root, count=10):
    for kind in ("cats", "dogs"):
        for number in range(count):
            picture(root / kind / f"{number}.png")


def cut_picture(root):
    pets(root)
    content = (root / "cats" / "3.png").read_bytes()
    (root / "cats" / "3.png").write_bytes(content[:60])


def bomb(root):
    pets(root)
    Image.new("1", (20_000, 20_000)).save(root / "cats" / "huge.png")


def parted(root):
    pets(root / "train")
    for number in range(5):
        picture(root / "test" / "birds" / f"{number}.png")


NO_IMAGE = "no image that can be read"
FOLDERS = {
    "missing": (lambda root: None, (), "there is no such folder"),
    "a file": (lambda root: root.write_text("text"), (), "there is no such folder"),
    "empty": (lambda root: root.mkdir(), (), "no images in"),
    "no classes": (lambda root: [picture(root / f"{i}.png") for i in range(9)], (), "no images in"),
    "one class": (lambda root: [picture(root / "cats" / f"{i}.png") for i in range(9)], (), "has 1 class"),
    "mixed sizes": (
        lambda root: (pets(root), picture(root / "dogs" / "b.png", (9, 7))),
        (),
        "Give one size to all: data.size=32",
    ),
    "no image": (
        lambda root: (pets(root), (root / "cats" / "0.png").write_text("text")),
        (),
        NO_IMAGE,
    ),
    "empty image": (
        lambda root: (pets(root), (root / "cats" / "0.png").write_text("")),
        (),
        NO_IMAGE,
    ),
    "cut image": (cut_picture, (), NO_IMAGE),
    "huge image": (bomb, ("data.size=4",), NO_IMAGE),
    "a folder as image": (
        lambda root: (pets(root), (root / "cats" / "x.png").mkdir()),
        (),
        NO_IMAGE,
    ),
    "one image each": (lambda root: pets(root, 1), (), "a class has 1 training examples"),
    "test of other classes": (parted, (), "which no training example has"),
    "empty test": (lambda root: (pets(root / "train"), (root / "test").mkdir()), (), "no images in"),
    "mode": (pets, ("data.mode=cmyk",), "data.mode=cmyk: allowed: rgb, grey"),
    "size": (pets, ("data.size=0",), "data.size=0: must be a whole number ≥ 1"),
    "size of text": (pets, ("data.size=big",), "data.size=big: must be of type"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_image_folder(study, tmp_path, case):
    make, options, message = FOLDERS[case]
    make(tmp_path / "pets")
    refused(study, tmp_path, message, "data=image_folder", "data.path=pets", *options)


TORCHVISION = {
    "unknown": ("data.dataset=CIFAR11", "Did you mean CIFAR10"),
    "a function": ("data.dataset=wrap_dataset_for_transforms_v2", "torchvision has no data set of this name"),
    "the base class": ("data.dataset=VisionDataset", "VisionDataset"),
    "a folder": ("data.dataset=ImageFolder", "torchvision cannot provide it"),
    "boxes": ("data.dataset=VOCDetection", "torchvision cannot provide it"),
    "unknown argument": ("data.dataset=FakeData data.arguments={colour:red}", "torchvision cannot provide it"),
    "argument of text": ("data.dataset=FakeData data.arguments=red", "data.arguments=red: must be a mapping"),
    "root given": ("data.dataset=FakeData data.arguments={root:/}", "torchvision cannot provide it"),
    "a class each": (
        "data.dataset=FakeData data.arguments={size:8,image_size:[3,4,4],num_classes:500}",
        "data.dataset=FakeData",
    ),
    "no examples": ("data.dataset=FakeData data.arguments={size:0}", "data.dataset=FakeData"),
}


@pytest.mark.parametrize("case", TORCHVISION)
def test_torchvision(study, tmp_path, case):
    options, message = TORCHVISION[case]
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "FakeData.lock").touch()
    for name in ("ImageFolder", "VOCDetection", "VisionDataset"):
        (tmp_path / "root" / f"{name}.lock").touch()
    refused(study, tmp_path, message, "data=torchvision", f"data.root={tmp_path / 'root'}", *options.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    {
        "data=csv": "data=csv requires data.path and data.target. Give data.path=... data.target=...;",
        "data=csv data.path=x.csv": "data=csv requires data.target. Give data.target=...; study help",
        "data=arrays": "data=arrays requires data.path. Give data.path=...",
        "data=idx": "data=idx requires data.images and data.labels.",
        "data=image_folder": "data=image_folder requires data.path. Give data.path=...",
        "data=torchvision": "data=torchvision requires data.dataset. Give data.dataset=...",
        "data=digits model=module": "model=module requires model._target_. Give model._target_=...",
        "data=digits model=torchvision": "model=torchvision requires model.name. Give model.name=...",
        "data=digits model=torchvision model.name=resnet18 model.arguments=red": "model.arguments=red: must be a",
        "data=arrays data.path=null": "data.path=None: must be of type str",
        "data=csv data.path=1 data.target=[a]": "data.target=['a']: must be of type str",
    }.items(),
)
def test_a_value_that_is_not_given_is_named_with_what_to_write(study, arguments, message):
    result = study(*arguments.split())
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert "Missing mandatory value" not in result.err
