"""What a study costs: from recorded runs, and its schedule on several workers."""

import pytest

from study.planning.cost import makespan, recorded_costs
from study.records.existing import existing_runs
from tests.conftest import run_folders, run_here


def test_runs_side_by_side_take_as_long_as_the_last_worker():
    assert makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert makespan([1.0, 1.0, 3.0], 2) == 4.0
    assert makespan([2.0], 8) == 2.0


def test_the_size_of_a_run_with_more_epochs_is_that_of_its_files(tmp_path):
    few = ("data=digits", "data.train_size=100", "model.hidden=[20]", "workers=1", "seed=0")
    for epochs in (2, 30):
        assert run_here(*few, f"epochs={epochs}", f"name=e{epochs}", cwd=tmp_path).code == 0
    (cost,) = recorded_costs(list(existing_runs(tmp_path / "outputs/e2").values())).values()
    (run,) = run_folders(tmp_path / "outputs/e30")
    size = sum(path.stat().st_size for path in run.iterdir())
    assert cost.size(30) == pytest.approx(size, rel=0.15)
    assert cost.size(2) == sum(cost.files.values())
