"""Damaged run folders: named and left out, or read as if nothing were; what was there stays as it is."""

import json
import shutil
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.analysis import command as analysis
from study.analysis.drawing import draw
from study.analysis.statistics import matched
from study.analysis.text import latex
from tests.conftest import reseal, run_folders
from tests.fuzz.damage import KINDS, damaged
from tests.fuzz.harness import FEW, MANY, PARTS, Tree, check_told, run

TABLES = ("gap_table.csv", "significance.csv", "sparsity.csv", "invariants.csv", "runs.csv")
OF_STUDY = ("sweeps.jsonl", "ledger.csv", "twice.jsonl", ".analysis-index.npz", ".figures-drawn.json")
RESULTS = ("analysis/", "ledger.csv", ".analysis-index.npz", ".figures-drawn.json")  # what an analysis writes
ANALYZE = ["analyze", "name=small", "figures=[]"]
SWEEP = ["-m", "reg=none,l1,l2", "seeds=2", "data=digits", "epochs=3", "model.hidden=[20]", "name=small"]
COMMANDS = [
    *[ANALYZE] * 5,
    [*ANALYZE, "allow=[changed]"],
    ["analyze", "name=small", "figures=[weights,gap,fan]"],
    [*ANALYZE, "at=best", "export=parquet"],
    *(["status", "name=small"], ["status", "name=small", "check=true"], ["status", "name=small", "check=true"]),
    *(["show", "RUN"], ["diff", "RUN", "OTHER"], ["clean", "name=small"], ["merge", "merged", "small"]),
    [*SWEEP, "dry_run=true"],
]


FILES = [
    *("config.yaml", "metrics.csv", "weights.csv", "histogram.csv", "val.csv", "test.csv", "sparsity.csv"),
    *("pruning.csv", "invariants.csv", "predictions.npz", "predictions.npz", "status.json", "status.json", "run.log"),
]
accident = st.fixed_dictionaries(
    {
        "run": st.integers(0, 5),
        "file": st.sampled_from([*FILES * 3, *OF_STUDY]),
        "kind": st.sampled_from(KINDS),
        "seed": st.integers(0, 2**32),
        "sealed": st.sampled_from([True, True, True, False]),
        "line": st.sampled_from(COMMANDS),
    }
)


def tables(study):
    """The tables of an analysis, None where it has not come to them."""
    files = [study / "analysis" / name for name in TABLES]
    return {file.name: file.read_bytes() for file in files} if all(file.is_file() for file in files) else None


@pytest.fixture(scope="module")
def expected(place):
    """The tables of the study as it is (None), and without each of its runs."""
    study, found = place / "outputs" / "small", {}
    for folder in run_folders(study):
        shutil.move(folder, place / "aside")
        assert run(ANALYZE, place).code == 0
        found[folder.name] = tables(study)
        shutil.move(place / "aside", folder)
    (study / "twice.jsonl").write_text(json.dumps({"run": "x", "ended": "", "differing": []}) + "\n")
    (study / ".figures-drawn.json").write_text("{}")
    assert run(ANALYZE, place).code == 0
    return {None: tables(study), **found}


@pytest.fixture(scope="module")
def undamaged(place, expected):
    return Tree(place / "outputs")


@pytest.fixture(autouse=True)
def quickly(monkeypatch, composed_once):
    """Nothing that takes long and is the same for all damage: figures are laid out here, and not written."""
    monkeypatch.setattr(latex, "to_latex", lambda *_: "")
    monkeypatch.setattr(analysis, "print_report", lambda *_: None)
    monkeypatch.setattr(matched, "matched", lambda rows: rows.iloc[:0])
    monkeypatch.setattr(draw, "sys", SimpleNamespace(platform="here"))
    monkeypatch.setattr(draw, "METADATA", {})


class Copies:
    """Copies in place of files, which are put back as they were."""

    def __init__(self, folder):
        self.folder, self.originals = folder, {}

    def replace(self, file):
        if file not in self.originals:
            self.originals[file] = self.folder / f"original-{len(self.originals)}"
            file.rename(self.originals[file])
            shutil.copyfile(self.originals[file], file)

    def put_back(self):
        for file, original in self.originals.items():
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            file.unlink(missing_ok=True)
            original.rename(file)


def damaged_and_read(place, expected, undamaged, case):
    study, copies = place / "outputs" / "small", Copies(place)
    hurt, other = (run_folders(study)[(case["run"] + i) % 6] for i in (0, 1))
    of_study, kind = case["file"] in OF_STUDY, case["kind"]
    if case["file"].endswith("index.npz") and kind == "changed":  # a cache with numbers of its own, which nobody writes
        kind = "flipped"
    target = study / case["file"] if of_study else hurt / case["file"]
    arguments = [word.replace("RUN", str(hurt)).replace("OTHER", str(other)) for word in case["line"]]
    shutil.rmtree(study / "analysis", ignore_errors=True)
    try:
        copies.replace(target)
        if not (case["sealed"] or of_study):
            copies.replace(hurt / "status.json")
            reseal(hurt, keep=False)
        damaged(target, study / OF_STUDY[0] if of_study else other / case["file"], kind, case["seed"])
        after = Tree(study)
        result = run(arguments, place)
        check_told(result, [str(case)])
        if case["line"] == ANALYZE:
            check_tables(result, tables(study), expected, None if of_study else hurt.name, case["sealed"])
        if case["line"][-1] == "check=true" and case["sealed"] and case["file"] in FILES[:-3]:
            same = target.is_file() and target.read_bytes() == copies.originals[target].read_bytes()
            assert same or (result.code == 1 and hurt.name in result.out), result
        assert [name for name in after.changed() if not name.startswith(RESULTS)] == []
    except AssertionError as error:
        raise AssertionError(f"{case}\nstudy {arguments}\n{error}") from None
    finally:
        copies.put_back()
        shutil.rmtree(place / "outputs" / "merged", ignore_errors=True)
    changed = [name for name in undamaged.changed() if not name.removeprefix("small/").startswith(RESULTS)]
    assert changed == [], case


def check_tables(result, found, expected, hurt, sealed):
    """What was damaged is named and left out, or had no part in the result; edits that no seal shows may pass."""
    if hurt is None:
        assert found == expected[None] or (found is None and result.code == 1), f"other tables\n{result}"
    elif sealed:
        assert found in (expected[None], expected[hurt]), f"other tables\n{result}"
        assert found == expected[None] or hurt in result.out + result.err, f"not named\n{result}"
    else:
        assert found is not None, result


@FEW
@given(case=accident)
def test_damage_is_named_or_does_no_harm(place, expected, undamaged, case):
    damaged_and_read(place, expected, undamaged, case)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@MANY
@given(case=accident)
def test_much_damage_is_named_or_does_no_harm(place, expected, undamaged, part, case):
    damaged_and_read(place, expected, undamaged, case)
