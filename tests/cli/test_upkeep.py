"""`study verify`, `merge` and `clean`: bytes are compared, nothing is overwritten, nothing goes that is in use."""

import json
import os
import shutil
import sys

from study.records import processes
from tests.cli.test_status import as_work
from tests.conftest import reseal, run_folders, snapshot


def test_verify_trains_again_and_compares_bytes(study, small):
    run = run_folders(small)[0]
    before = snapshot(small)
    result = study("verify", str(run))
    assert (result.code, "the same bytes in metrics.csv" in result.out) == (0, True)
    assert snapshot(small) == before
    content = (run / "weights.csv").read_text()
    (run / "weights.csv").write_text(content.replace("1", "2", 1))
    assert "has changed since the run ended: weights.csv (other content)" in study("verify", str(run)).err
    reseal(run, keep=False)
    result = study("verify", str(run))
    assert (result.code, "different bytes in weights.csv" in result.out) == (1, True)


def test_verify_says_what_it_cannot_verify(study, small):
    broken, outdated, *_ = run_folders(small)
    for run, old, new in ((broken, '"complete"', '"failed"'), (outdated, '"run_id": "', '"run_id": "0')):
        (run / "status.json").write_text((run / "status.json").read_text().replace(old, new))
        reseal(run)
    assert "only a complete or diverged run can be verified" in study("verify", str(broken)).err
    assert "its code or data have changed since" in study("verify", str(outdated)).err


def test_merge_copies_what_is_missing_and_overwrites_nothing(study, small):
    other = small.parent / "other"
    shutil.copytree(small, other)
    shutil.rmtree(run_folders(small)[0])
    changed = run_folders(other)[-1]
    (changed / "test.csv").write_text("split,epoch,loss,accuracy,count\n")
    reseal(changed)
    whole, before = snapshot(other), snapshot(small)
    result = study("merge", "small", "other")
    assert result.code == 1
    assert "1 runs copied, 4 skipped (both studies have them, with the same bytes)" in result.out
    assert f"{changed.name} differs from" in result.out
    assert snapshot(other) == whole
    assert before.items() <= snapshot(small).items()
    assert len(run_folders(small)) == 6
    assert study("analyze", "name=small", "figures=[]").code == 0


def test_merge_replaces_a_failed_run_and_leaves_alone_what_is_under_way_or_in_the_way(study, small):
    other = small.parent / "other"
    shutil.copytree(small, other)
    failed, foreign, live = run_folders(small)[:3]
    for run in (failed, foreign):
        (run / "status.json").write_text((run / "status.json").read_text().replace('"complete"', '"failed"'))
    live = as_work(live, "free")
    shutil.move(foreign, small / f"moved-{foreign.name}")
    foreign.mkdir()
    (foreign / "notes.txt").touch()
    before = snapshot(live) | snapshot(small / f"moved-{foreign.name}")
    assert "is not the run that its name says" in study("merge", "small", "other").err
    assert json.loads((failed / "status.json").read_text())["state"] == "complete"
    assert before.items() <= snapshot(small).items()
    assert (foreign / "notes.txt").exists()
    assert not (small / ".work" / "merge").exists()


def test_merge_makes_a_study_that_is_not_there(study, small):
    result = study("merge", "copy", "small")
    assert result.code == 0, result.err
    copied = [folder.name for folder in run_folders(small.parent / "copy")]
    assert copied == [folder.name for folder in run_folders(small)]
    assert study("merge", "copied", "missing").code == 1
    assert not (small.parent / "copied").exists()


def test_merged_variants_that_share_a_name_are_told_apart(study, tmp_path):
    quick = ("reg=l1", "data=digits", "model.hidden=[5]")
    assert study(*quick, "epochs=1", "name=one").code == 0
    assert study(*quick, "epochs=2", "name=two").code == 0
    result = study("merge", "one", "two")
    assert result.code == 0, result.err
    variants = {
        json.loads((run / "status.json").read_text())["variant"] for run in run_folders(tmp_path / "outputs/one")
    }
    assert len(variants) == 2
    for run in run_folders(tmp_path / "outputs/one"):
        assert run.name.startswith(json.loads((run / "status.json").read_text())["variant"] + "-seed0-")


def test_clean_lists_first_and_removes_only_what_is_interrupted_or_outdated(study, small):
    runs = run_folders(small)
    live = as_work(runs[0], f"{processes.host()}~{os.getpid()}~{processes.start_of(os.getpid())}~aaaa")
    stale = as_work(runs[1], f"{processes.host()}~{os.getpid()}~1~aaaa")
    outdated = runs[2]
    status = (outdated / "status.json").read_text()
    (outdated / "status.json").write_text(status.replace('"run_id": "', '"run_id": "0'))
    (small / "notes").mkdir()
    before = snapshot(small)
    listed = study("clean", "name=small")
    assert listed.code == 0
    assert snapshot(small) == before
    assert listed.out.count("to delete: ") == 2
    assert study("clean", "name=small", "remove=true").code == 0
    assert not stale.exists()
    assert not outdated.exists()
    assert live.exists()
    assert (small / "notes").exists()
    assert len(run_folders(small)) == 3


def test_clean_keeps_runs_whose_code_cannot_be_loaded(study, tmp_path, monkeypatch):
    (tmp_path / "mine" / "reg").mkdir(parents=True)
    (tmp_path / "mine" / "bridge.py").write_text("def bridge(w):\n    return w.abs().sqrt().sum()\n")
    (tmp_path / "mine" / "reg" / "bridge.yaml").write_text("_target_: bridge.bridge\nlam: 1e-4\n")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    few = ("data=digits", "epochs=1", "model.hidden=[5]", "name=own")
    assert study("--config-dir", "mine", "reg=bridge", *few).code == 0
    monkeypatch.delitem(sys.modules, "bridge")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(tmp_path / "mine")])
    cleaned = study("clean", "name=own", "remove=true")
    assert "kept: 1 runs" in cleaned.out
    assert "PYTHONPATH" in cleaned.out
    assert "nothing to delete" in cleaned.out
    assert len(run_folders(tmp_path / "outputs" / "own")) == 1


def test_merge_takes_studies_only(study, small, tmp_path):
    (tmp_path / "empty").mkdir()
    result = study("merge", "small", str(tmp_path / "empty"))
    assert result.code == 1
    assert "is not a study: it has no runs" in result.err
    assert study("merge", "new", str(tmp_path / "empty")).code == 1
    assert not (tmp_path / "outputs" / "new").exists()
