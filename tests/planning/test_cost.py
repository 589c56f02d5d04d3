"""What a study costs: from recorded runs, and its schedule on several workers."""

from types import SimpleNamespace

import pytest

from study.planning.cost import Cost, durations, kind_of, makespan, recorded_costs, total_size
from study.planning.scope import Work
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


def of(data, reg):
    """Ten runs of one kind with two epochs each."""
    config = {"data": {"option": data}, "model": {"option": "mlp"}, "reg": {"option": reg}, "optimizer": {}}
    more = dict.fromkeys(
        ("batch_size", "budget", "precision", "score_train", "keep_model", "keep_checkpoint", "threads")
    )
    return Work(SimpleNamespace(config=SimpleNamespace(**config, **more)), count=10, epochs=2)


def test_a_kind_that_was_not_timed_counts_as_the_others_of_its_setting():
    small, large, other, new = of("digits", "none"), of("mnist", "none"), of("mnist", "l1"), of("wine", "l1")
    costs = {
        kind_of(small.run.config): Cost(fixed=0.0, epoch=1.0, files={"status.json": 100}, epochs=2),
        kind_of(large.run.config): Cost(fixed=2.0, epoch=9.0, files={"status.json": 300}, epochs=2),
    }
    assert set(durations([large, other], costs)) == {20.0}
    assert durations([small, large, new], costs)[-1] == (2 + 20) / 2  # nothing of its setting was timed
    assert total_size([large, other], costs) == 20 * 300
