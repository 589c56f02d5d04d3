"""Hydra's launchers train a sweep as our own workers do: skipped, resumed, frozen, and with the same bytes."""

import pytest

from study.records.comparison import differing
from study.records.existing import existing_runs
from study.records.status import read_status
from tests.conftest import run_command, run_folders, under_way

SWEEP = ("-m", "reg=l1,l2", "lam=1e-4", "data=digits", "epochs=3", "model.hidden=[20]")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.fixture
def outputs(tmp_path):
    return tmp_path / "outputs"


@pytest.mark.slow
def test_a_launcher_gives_the_bytes_of_our_own_workers_and_trains_what_is_missing(study, outputs):
    assert study(*SWEEP, "name=own").code == 0
    assert study(*SWEEP[:1], "reg=l1", *SWEEP[2:], *JOBLIB, "name=launched").code == 0
    result = study(*SWEEP, *JOBLIB, "name=launched")
    assert result.code == 0
    assert "outputs/launched: 1 already complete, 1 to run" in result.out
    own, launched = existing_runs(outputs / "own"), existing_runs(outputs / "launched")
    assert own.keys() == launched.keys()
    for run_id, run in own.items():
        assert differing(run.folder, launched[run_id].folder) == []
    assert not (outputs.parent / "multirun").exists()


@pytest.mark.slow
def test_a_run_that_fails_in_a_launcher_s_job_is_told_and_the_others_end(outputs, tmp_path):
    (tmp_path / "fragile.py").write_text(
        "def penalty(w):\n    if w.detach().std() > 0: raise RuntimeError('too much for me')\n    return w.sum()\n"
    )
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "fragile.yaml").write_text("_target_: fragile.penalty\nlam: 1e-4\n")
    sweep = ("--config-dir", "own", "-m", "reg=fragile,l2", *SWEEP[3:], *JOBLIB, "name=mine")
    result = run_command(*sweep, cwd=tmp_path, PYTHONPATH=str(tmp_path))  # joblib's workers outlive a test
    assert result.code == 1
    assert "outputs/mine: 1 failed, 1 complete" in result.out
    states = {run.name.split("-")[0]: read_status(run)["state"] for run in run_folders(outputs / "mine")}
    assert states == {"fragile": "failed", "l2": "complete"}
    assert under_way(outputs / "mine") == []


def test_what_a_launcher_cannot_do_is_refused(study, outputs):
    result = study(*SWEEP, *JOBLIB, "on_failure=stop")
    assert result.code == 1
    assert "on_failure=stop: a Hydra launcher cannot be stopped. Allowed: continue" in result.err
    assert not outputs.exists()
