"""A study in other formats, and as an archive that another machine checks and unpacks to the same tables."""

import hashlib
import json
import shutil
import stat
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from study.analysis import load
from study.records.contract import OUTPUTS
from study.records.existing import existing_runs
from tests.conftest import products, run_folders, run_here, snapshot
from tests.loggers.test_loggers import client_of, mlflow_runs, needs, of_mlflow

NO_FIGURES = "figures=[]"


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory) -> Path:
    """A folder with the study `small` as before/, analyzed, and its archive in outputs/."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(finished / "outputs", folder / "outputs")
    for line in ("analyze name=small figures=[gap]", "export zip name=small"):
        assert run_here(*line.split(), cwd=folder).code == 0
    shutil.move(folder / "outputs" / "small", folder / "before")
    return folder


@pytest.fixture
def archive(made, tmp_path) -> Path:
    """A copy of the archive, in a folder without studies."""
    (tmp_path / "outputs").mkdir()
    return Path(shutil.copy(made / "outputs" / "small.zip", tmp_path / "outputs"))


def edited(content: bytes) -> bytes:
    """A CSV with another last digit."""
    return content[:-2] + (b"8\n" if content[-2:-1] != b"8" else b"7\n")


def changed(archive: Path, change) -> Path:
    """An archive with the entries that `change` returns, from a mapping of paths to contents."""
    with zipfile.ZipFile(archive) as source:
        content = {name: source.read(name) for name in source.namelist()}
    target = archive.with_name("changed.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in change(content):
            out.writestr(name, data)
    return target


def listed(content: dict[str, bytes]):
    """The entries, with a list of contents that fits them: a forger can compute it too."""
    files = {
        name.partition("/")[2]: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in content.items()
        if name != "small/contents.json"
    }
    contents = {**json.loads(content["small/contents.json"]), "files": files}
    return {**content, "small/contents.json": json.dumps(contents).encode()}.items()


def refused(study, tmp_path, archive, *words: str) -> None:
    """Import is refused in one line with these words, and leaves nothing."""
    before = snapshot(tmp_path)
    result = study("import", str(archive), "name=other")
    assert result.code == 1
    assert result.err.count("\n") == 1
    for word in words:
        assert word in result.err
    assert snapshot(tmp_path) == before
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir() if path.is_dir()) == []


def test_an_imported_study_gives_the_same_tables_and_figures(study, tmp_path, made, archive):
    result = study("import", str(archive))  # by its own name, which LaTeX tables have in their labels
    assert (result.code, result.err) == (0, "")
    assert "6 runs imported; all checksums and seals match" in result.out
    other, before = tmp_path / "outputs" / "small", made / "before"
    for run in run_folders(before):
        assert {file.name: file.read_bytes() for file in (other / run.name).iterdir()} == {
            file.name: file.read_bytes() for file in run.iterdir()
        }
    expected = products(before)
    shutil.rmtree(other / "analysis")
    assert study("analyze", "name=small", "figures=[gap]").code == 0
    assert products(other) == expected


def test_it_can_be_imported_under_another_name(study, tmp_path, archive):
    assert study("import", str(archive), "name=other").code == 0
    assert len(load(tmp_path / "outputs" / "other").runs) == 6
    assert [path.name for path in (tmp_path / "outputs").iterdir() if path.is_dir()] == ["other"]


def test_the_archive_has_what_a_supplement_needs(study, archive):
    with zipfile.ZipFile(archive) as file:
        names, readme = set(file.namelist()), file.read("small/README.txt").decode()
        versions = json.loads(file.read("small/versions.json"))
    assert "study -m reg=none,l1,l2 seeds=2 data=digits epochs=3 'model.hidden=[20]' name=small workers=1" in readme
    assert "study analyze name=small 'figures=[gap]'" in readme
    assert {
        "small/contents.json",
        "small/study/analysis/gap_table.tex",
        "small/study/analysis/figures/gap.pdf",
    } <= names
    assert sum(name.endswith("/config.yaml") for name in names) == 6
    assert (versions[0]["runs"], set(versions[0]["versions"]) >= {"python", "torch", "regstudy"}) == (6, True)


def test_the_same_study_gives_the_same_bytes_also_when_it_is_compacted(study, small):
    assert study("analyze", "name=small", NO_FIGURES).code == 0
    archives = []
    for _ in range(2):
        assert study("export", "zip", "name=small").code == 0
        archives.append((small.parent / "small.zip").read_bytes())
        study("compact", "name=small")
    assert run_folders(small) == []
    assert archives[0] == archives[1]


def test_an_existing_study_is_not_changed(study, tmp_path, archive):
    (tmp_path / "outputs" / "other").mkdir()
    result = study("import", str(archive), "name=other")
    assert "outputs/other exists, and is not changed. Give another name. Example: name=other2" in result.err
    assert list((tmp_path / "outputs" / "other").iterdir()) == []


OUTSIDE = ("../evil.csv", "/evil.csv", "small/../../evil.csv", "small\\..\\evil", "C:/evil", "a//b")


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leads_outside_is_refused(study, tmp_path, archive, path):
    forged = changed(archive, lambda content: [*content.items(), (path, b"1")])
    refused(study, tmp_path, forged, "is not the path of a file inside the archive", "Nothing was imported")


def test_a_link_is_refused(study, tmp_path, archive):
    link = zipfile.ZipInfo("small/study/sweeps.jsonl")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16

    def with_link(content):
        content.pop("small/study/sweeps.jsonl")
        return [*content.items(), (link, b"/etc/passwd")]

    refused(study, tmp_path, changed(archive, with_link), "is a link or another special file")


@pytest.mark.parametrize(
    "path",
    ["checkpoint.pt", "model.safetensors", "../../code.py", "sub/metrics.csv", "mine.py"],
)
def test_a_file_that_such_an_archive_does_not_have_is_refused(study, tmp_path, made, archive, path):
    run = run_folders(made / "before")[0].name

    def with_file(content):
        return listed({**content, f"small/study/{run}/{path}": b"1"})

    refused(study, tmp_path, changed(archive, with_file), "Nothing was imported")


def test_a_changed_file_is_found_by_its_checksum_and_with_a_forged_list_by_the_seal(study, tmp_path, made, archive):
    run = run_folders(made / "before")[0].name
    path = f"small/study/{run}/metrics.csv"

    def better(content):
        return {**content, path: edited(content[path])}

    refused(study, tmp_path, changed(archive, lambda c: better(c).items()), "does not have the checksum")
    refused(study, tmp_path, changed(archive, lambda c: listed(better(c))), run, "has changed since the run ended")


def test_an_archive_that_unpacks_to_more_than_it_says_or_than_the_disk_has_is_refused(study, tmp_path, archive):
    def huge(content):
        contents = json.loads(content["small/contents.json"])
        contents["files"]["README.txt"]["size"] = 10**15
        return {**content, "small/contents.json": json.dumps(contents).encode()}.items()

    refused(study, tmp_path, changed(archive, huge), "has another size")
    data = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):  # of README.txt, the first entry: its size
        at = data.index(mark) + place
        data[at : at + 4] = (2**32 - 2).to_bytes(4, "little")
    forged = archive.with_name("changed.zip")
    forged.write_bytes(data)
    refused(study, tmp_path, forged, "has another size")


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "folder", "no_list", "list", "format", "name"])
def test_a_damaged_archive_is_refused_in_one_line(study, tmp_path, archive, damage):
    data, forged = archive.read_bytes(), archive.with_name("changed.zip")
    if damage in ("truncated", "empty", "text"):
        forged.write_bytes({"truncated": data[:-1000], "empty": b"", "text": b"no archive"}[damage])
    elif damage == "folder":
        forged = archive.parent
    elif damage == "no_list":
        forged = changed(archive, lambda content: [item for item in content.items() if "contents" not in item[0]])
    elif damage == "list":
        forged = changed(archive, lambda content: {**content, "small/contents.json": b"[" * 10_000}.items())
    elif damage == "format":
        other = b'{"format": 9, "files": {}}'
        forged = changed(archive, lambda content: {**content, "small/contents.json": other}.items())
    else:
        forged = changed(archive, lambda content: [*content.items(), ("SMALL/README.TXT", b"1")])
    refused(study, tmp_path, forged)


def test_each_flipped_byte_of_the_content_is_found(study, tmp_path, archive):
    data, forged = archive.read_bytes(), archive.with_name("changed.zip")
    for place in range(200, len(data) - 20_000, len(data) // 12):
        forged.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        refused(study, tmp_path, forged)


def test_a_changed_run_is_named_and_left_out_of_the_archive(study, small):
    run = run_folders(small)[0]
    (run / "metrics.csv").write_bytes(edited((run / "metrics.csv").read_bytes()))
    assert study("analyze", "name=small", NO_FIGURES).code == 1
    (small.parent / "small.zip").mkdir()
    assert "outputs/small.zip is a folder. Move it elsewhere" in study("export", "zip", "name=small").err
    (small.parent / "small.zip").rmdir()
    result = study("export", "zip", "name=small")
    assert result.code == 1
    told = "has changed since the run ended: metrics.csv (other content); left out"
    assert f"{OUTPUTS / 'small' / run.name} {told}" in result.err
    assert "5 runs" in result.out


def test_without_tables_there_is_no_archive(study, small):
    result = study("export", "zip", "name=small")
    assert "outputs/small has no tables and figures yet. Give study analyze name=small first" in result.err
    assert not (small.parent / "small.zip").exists()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_are_exported_as_analyze_does(study, small, kind):
    result = study("export", kind, "name=small")
    assert (result.code, result.err) == (0, "")
    for name, table in load(small).tables().items():
        file = small / "analysis" / kind / f"{name}.{kind}"
        if kind == "csv":
            assert file.read_text() == table.to_csv(index=False)
        else:
            pd.testing.assert_frame_equal(pd.read_parquet(file), table, check_categorical=False, check_dtype=False)


@needs("mlflow")
def test_mlflow_gets_each_run_once_also_of_a_compacted_study(study, small):
    expected = {run.name: len(pd.read_csv(run / "metrics.csv")) for run in run_folders(small)}
    for _ in range(2):
        assert study("export", "mlflow", "name=small").code == 0
        study("compact", "name=small")
    client = client_of(small / "loggers")
    assert sorted(run.info.run_name for run in mlflow_runs(client, "small")) == sorted(expected)
    for run in existing_runs(small).values():
        found = of_mlflow(small / "loggers", small / run.folder.name)
        assert list(map(len, found["val_loss"].values())) == [1] * expected[run.folder.name]
        assert list(map(len, found["final_test_accuracy"].values())) == [1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("export", "study export takes a format. Allowed: csv, parquet, mlflow, zip"),
        ("export excel name=small", "study export excel: there is no such format"),
        ("export csv nme=small", "nme=small: there is no such key. Allowed keys: name"),
        ("export csv name=nothing", "outputs/nothing does not exist"),
        ("export zip name=../x", "name=../x: must be letters"),
        ("import", "study import takes a file"),
        ("import name=x", "study import takes a file"),
        ("import nothing.zip", "nothing.zip does not exist. Give a file that study export zip has written"),
    ],
)
def test_what_is_not_allowed_is_said_in_one_line(study, arguments, line):
    result = study(*arguments.split())
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert line in result.err
