"""Claims about what a look at a study's files shows while its runs are under way."""

import json

import pandas as pd

from study.analysis.live.following import Following
from tests.analysis.test_partial import half_done, stopped  # noqa: F401
from tests.conftest import under_way


def test_a_look_shows_the_curves_the_machine_and_the_log_of_a_run_under_way(half_done, tmp_path):  # noqa: F811
    folder = tmp_path / "outputs" / "s"
    following = Following(folder)
    found = following.look()
    (run,) = found["runs"]
    (work,) = under_way(folder)
    metrics = pd.read_csv(work / "metrics.csv")
    assert run["curves"]["epoch"] == metrics["epoch"].tolist()
    assert run["curves"]["val_loss"] == [float(f"{loss:.5g}") for loss in metrics["val_loss"]]
    assert (run["state"], run["epoch"], run["epochs"]) == ("interrupted", len(metrics) - 1, 8)
    assert run["machine"]["device"] == "cpu"
    assert run["machine"]["pid"] > 0
    assert found["counts"] == {"complete": 1, "interrupted": 1}
    assert "epoch 1: train" in following.log_of(run["run"])
    json.dumps(found, allow_nan=False)


def test_the_next_look_reads_what_was_added_up_to_the_last_whole_row(half_done, tmp_path):  # noqa: F811
    following = Following(tmp_path / "outputs" / "s")
    before = len(following.look()["runs"][0]["curves"]["epoch"])
    (work,) = under_way(tmp_path / "outputs" / "s")
    whole = (work / "metrics.csv").read_text().splitlines()[-1]
    row = whole.replace(whole.split(",")[0], str(before), 1) + "\n"
    with (work / "metrics.csv").open("a") as file:
        file.write(row + row[:9])  # the second row is being written
    assert following.look()["runs"][0]["curves"]["epoch"][-2:] == [before - 1, before]
    with (work / "metrics.csv").open("a") as file:
        file.write(row[9:])
    assert len(following.look()["runs"][0]["curves"]["epoch"]) == before + 2


def test_it_knows_no_log_of_what_is_not_a_run_of_the_study(half_done, tmp_path):  # noqa: F811
    (tmp_path / "outputs" / "run.log").write_text("secret")
    following = Following(tmp_path / "outputs" / "s")
    following.look()
    assert following.log_of("..") is None
    assert following.log_of("../s") is None
    assert following.log_of("") is None


def test_planned_and_failed_runs_are_counted_and_named(study, tmp_path):
    few = ("data=digits", "data.train_size=150", "epochs=2", "model.hidden=[20]", "workers=1", "name=s")
    assert study("-m", *few, "reg=none,l1", "seeds=2").code == 0
    folder = tmp_path / "outputs" / "s"
    (failed, gone) = sorted(path for path in folder.glob("l1-*"))
    status = json.loads((failed / "status.json").read_text())
    (failed / "status.json").write_text(json.dumps(status | {"state": "failed", "cause": "out of memory"}))
    gone.rename(tmp_path / "elsewhere")
    found = Following(folder).look()
    assert found["counts"] == {"complete": 2, "failed": 1, "planned": 1}
    assert found["failed"] == [{"run": failed.name, "cause": "out of memory"}]
    assert found["runs"] == []
    assert found["left"] is None


def test_a_run_that_failed_and_is_trained_again_is_no_longer_failed(half_done, tmp_path):  # noqa: F811
    folder = tmp_path / "outputs" / "s"
    (complete,) = folder.glob("none-*")
    status = json.loads((complete / "status.json").read_text())
    (complete / "status.json").write_text(json.dumps(status | {"state": "failed", "cause": "no memory"}))
    following = Following(folder)
    assert [run["run"] for run in following.look()["failed"]] == [complete.name]
    complete.rename(folder / ".work" / f"{complete.name}@free")  # as a command does that takes the run
    found = following.look()
    assert found["failed"] == []
    assert found["counts"] == {"interrupted": 2}


def test_compacted_runs_are_counted_beside_folders(study, small):
    assert study("compact", "name=small").code == 0
    assert Following(small).look()["counts"] == {"complete": 6}
