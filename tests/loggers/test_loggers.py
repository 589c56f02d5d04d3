"""What a run leaves in TensorBoard, MLflow and W&B, read with their own libraries; a fault of them costs a warning."""

import json
import os
import shutil
import sqlite3
import struct
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from study.errors import ConfigError
from study.loggers.choice import TOOLS, chosen
from study.records.contract import LOGGERS
from study.sweep.freeze import recorded_task
from study.training.crew import train_alone
from study.training.run import begin_run
from tests.conftest import run_command, run_folders, run_here
from tests.training.test_resume import same_bytes

ALL = tuple(TOOLS)
FEW = (
    *("data=digits", "data.train_size=100", "epochs=3", "model.hidden=[5]"),
    *("workers=1", "reg=l1", "checkpoint_every=0"),
)


def needs(*names):
    """A mark: without the extras the test is skipped; on CI it then fails."""
    lacking = [name for name in names if find_spec(TOOLS[name].packages[0]) is None]
    return pytest.mark.skipif(
        bool(lacking) and "REGSTUDY_CI" not in os.environ, reason=f"needs pip install -e '.[{','.join(lacking)}]'"
    )


needs_all = needs(*ALL)


def of_tensorboard(folder: Path) -> dict[str, dict[int, list[float]]]:
    """All values of each scalar by step, of the event files in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False).Reload()
    tags = events.Tags()["scalars"]
    return {tag: by_step((event.step, event.value) for event in events.Scalars(tag)) for tag in tags}


def client_of(loggers: Path):
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{loggers / 'mlflow.db'}")


def of_mlflow(loggers: Path, run: Path) -> dict[str, dict[int, list[float]]]:
    """All values of each metric by step, of the MLflow run that has the name of a run."""
    client = client_of(loggers)
    (found,) = [r for r in mlflow_runs(client, run.parent.name) if r.info.run_name == run.name]
    histories = {key: client.get_metric_history(found.info.run_id, key) for key in found.data.metrics}
    return {key: by_step((metric.step, metric.value) for metric in history) for key, history in histories.items()}


def mlflow_runs(client, study: str):
    return client.search_runs([client.get_experiment_by_name(study).experiment_id])


def of_wandb(loggers: Path) -> list:
    """The records in the only W&B file, by W&B's own format: a log of LevelDB, after a header of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = loggers.glob("wandb/offline-run-*/run-*.wandb")
    data, place, size, records, parts = file.read_bytes(), 7, 32768, [], b""
    while place + 7 <= len(data):
        if size - place % size < 7:  # the rest of a block is too short for a header
            place += size - place % size
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            records.append(Record.FromString(parts))
            parts = b""
    return records


def wandb_history(loggers: Path) -> dict[str, dict[int, list[float]]]:
    """All values of each metric by step, of the only W&B file."""
    found: dict[str, list] = {}
    for record in of_wandb(loggers):
        if record.HasField("history"):
            values = values_of(record.history.item)
            for key, value in values.items():
                found.setdefault(key, []).append((int(values["_step"]), value))
    return {key: by_step(pairs) for key, pairs in found.items() if not key.startswith("_")}


def wandb_summary(loggers: Path) -> dict:
    return values_of(
        item for record in of_wandb(loggers) if record.HasField("summary") for item in record.summary.update
    )


def values_of(items) -> dict:
    return {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in items}


def have_every_epoch(study: Path) -> bool:
    """Whether TensorBoard and MLflow have the validation loss of each epoch of each run, once."""
    for run in run_folders(study):
        losses = pd.read_csv(run / "metrics.csv").set_index("epoch")["val_loss"]
        expected = {epoch: [pytest.approx(loss, rel=1e-6)] for epoch, loss in losses.items()}
        assert of_tensorboard(study / LOGGERS / "tensorboard" / run.name)["val_loss"] == expected
        assert of_mlflow(study / LOGGERS, run)["val_loss"] == expected
    return True


def by_step(pairs) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for step, value in pairs:
        found.setdefault(step, []).append(value)
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The folder of a run that nothing follows."""
    folder = tmp_path_factory.mktemp("plain")
    assert run_here(*FEW, "name=mine", cwd=folder).code == 0
    return run_folders(folder / "outputs" / "mine")[0]


def stopped_at_once(epoch: int, _row) -> bool:
    """Do what a second Ctrl-C does in epoch 2."""
    if epoch == 2:
        raise KeyboardInterrupt
    return True


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Path:
    """The folder of the same run, followed by all loggers, and beside it one that stopped and resumed."""
    folder = tmp_path_factory.mktemp("followed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.chdir(folder)
        logger = f"logger=[{','.join(ALL)}]"
        assert run_here(*FEW, "name=mine", logger, cwd=folder).code == 0
        (run,) = run_folders(folder / "outputs" / "mine")
        task = recorded_task(run.parent, json.loads((run / "status.json").read_text())["run_id"])
        elsewhere = folder / "outputs" / "parts"
        task = replace(task, folder=elsewhere / run.name)
        work = elsewhere / run.name
        with pytest.raises(KeyboardInterrupt):  # epoch 2 is recorded, and trained again from the checkpoint of epoch 1
            train_alone(begin_run(task, work, stopped_at_once))
        assert train_alone(begin_run(task, work, lambda *_: True)).state == "complete"
    return run


@pytest.fixture(params=["mine", "parts"], ids=["whole", "resumed"])
def run(request, followed) -> Path:
    """A run that was trained at once, and one that was interrupted and resumed."""
    return followed.parent.parent / request.param / followed.name


@pytest.fixture
def expected(run) -> dict[str, dict[int, list[float]]]:
    """What each tool must have: every number of metrics.csv once, and the gaps."""
    metrics = pd.read_csv(run / "metrics.csv").set_index("epoch")
    metrics["accuracy_gap"] = 100 * (metrics["train_accuracy"] - metrics["val_accuracy"])
    metrics["loss_gap"] = metrics["val_loss"] - metrics["train_loss"]
    columns = {name: column.dropna().items() for name, column in metrics.items()}
    return {
        name: {epoch: [pytest.approx(value, rel=1e-6)] for epoch, value in values} for name, values in columns.items()
    }


def only_epochs(found: dict) -> dict:
    return {name: values for name, values in found.items() if not name.startswith("final_")}


@needs_all
def test_tensorboard_has_every_number_of_each_epoch_once(run, expected):
    assert only_epochs(of_tensorboard(run.parent / LOGGERS / "tensorboard" / run.name)) == expected


@needs_all
def test_mlflow_has_every_number_of_each_epoch_once(run, expected):
    found = only_epochs(of_mlflow(run.parent / LOGGERS, run))
    # The seconds of an epoch that was trained twice are those of the first time.
    assert found.pop("seconds").keys() == expected.pop("seconds").keys()
    assert found == expected


@needs_all
def test_wandb_has_every_number_of_each_epoch_once(run, expected):
    assert wandb_history(run.parent / LOGGERS) == expected


@needs_all
def test_each_tool_has_the_final_scores_the_state_and_the_config(run):
    loggers, test = run.parent / LOGGERS, pd.read_csv(run / "test.csv").iloc[0]
    events = of_tensorboard(loggers / "tensorboard" / run.name)
    assert events["final_test_accuracy"] == {3: [pytest.approx(test["accuracy"], rel=1e-6)]}
    (stored,) = mlflow_runs(client_of(loggers), run.parent.name)
    assert stored.data.metrics["final_test_accuracy"] == test["accuracy"]
    assert (stored.info.status, stored.data.tags["regstudy.state"]) == ("FINISHED", "complete")
    assert (stored.data.params["reg.option"], stored.data.params["data.split"]) == ("l1", "holdout")
    summary = wandb_summary(loggers)
    assert (summary["final_test_accuracy"], summary["state"]) == (test["accuracy"], "complete")
    (of_run,) = [record.run for record in of_wandb(loggers) if record.HasField("run")]
    assert of_run.display_name == run.name
    assert {item.key: item.value_json for item in of_run.config.update}["lam"] == "0.0001"


@needs_all
def test_a_followed_run_has_the_bytes_of_one_that_is_not_and_the_same_id(run, plain):
    assert run.name == plain.name
    same_bytes(run, plain)
    assert (run / "config.yaml").read_bytes() == (plain / "config.yaml").read_bytes()


@needs_all
def test_loggers_that_cannot_write_cost_one_warning_each_and_the_run_has_the_same_bytes(
    study, tmp_path, plain, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "outputs" / "mine").mkdir(parents=True)
    (tmp_path / "outputs" / "mine" / LOGGERS).write_text("a file where the folder of the loggers should be")
    result = study(*FEW, "name=mine", f"logger=[{','.join(ALL)}]")
    (run,) = run_folders(tmp_path / "outputs" / "mine")
    same_bytes(run, plain)
    assert result.code == 0
    for said in (result.out, (run / "run.log").read_text()):
        assert [said.count(f"logger={name} failed and is off for this run, which goes on") for name in ALL] == [1, 1, 1]
    assert "Traceback" not in result.out + result.err


@needs("mlflow")
def test_a_store_that_breaks_during_a_run_costs_one_warning(study, tmp_path, plain, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study(*FEW, "name=mine").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "mine")
    task = recorded_task(run.parent, json.loads((run / "status.json").read_text())["run_id"])
    elsewhere = tmp_path / "outputs" / "elsewhere" / run.name
    task = replace(task, folder=elsewhere, loggers=["mlflow"])

    def break_it(epoch, _row) -> bool:
        if epoch == 1:
            with sqlite3.connect(elsewhere.parent / LOGGERS / "mlflow.db") as store:
                store.execute("DROP TABLE metrics")
        return True

    said: list[str] = []
    assert train_alone(begin_run(task, tmp_path / "again", break_it, say=said.append)).state == "complete"
    same_bytes(tmp_path / "again", plain)
    assert len(said) == 1
    assert "logger=mlflow failed and is off for this run, which goes on" in said[0]


@needs("mlflow")
@pytest.mark.slow
def test_workers_share_the_store(tmp_path):
    few = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[5]", "name=mine", "workers=3")
    result = run_command("-m", "reg=none,l1,l2", "seeds=4", *few, "logger=mlflow", cwd=tmp_path)
    assert (result.code, result.out.count("logger=")) == (0, 0), result.out + result.err
    runs = run_folders(tmp_path / "outputs" / "mine")
    client = client_of(tmp_path / "outputs" / "mine" / LOGGERS)
    assert sorted(found.info.run_name for found in mlflow_runs(client, "mine")) == [run.name for run in runs]


@needs_all
@pytest.mark.parametrize("command", ["status", "analyze", "clean", "compact", "merge"])
def test_the_folder_of_the_loggers_disturbs_no_command(study, tmp_path, followed, command):
    shutil.copytree(followed.parent, tmp_path / "outputs" / "mine", symlinks=True)
    result = study("merge", "other", "mine") if command == "merge" else study(command, "name=mine")
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "outputs" / "mine" / LOGGERS / "mlflow.db").is_file()


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("logger=csv", "logger=csv: there is no such logger. Allowed: tensorboard, mlflow, wandb, or a list of them"),
        ("logger=[mlflow,3]", "logger=3: there is no such logger"),
        ("logger={a: 1}", "logger={'a': 1}: there is no such logger"),
        ("-m logger=tensorboard,mlflow", "logger says how a sweep is run. Give one value"),
    ],
)
def test_what_is_no_logger_is_refused(study, tmp_path, argument, line):
    *flags, value = argument.split(" ", argument.startswith("-m"))
    result = study(*flags, *FEW, value)
    assert result.code == 1
    assert line in result.err
    assert not (tmp_path / "outputs").exists()


def test_a_missing_extra_is_refused_before_training_although_a_folder_has_its_name(study, tmp_path, monkeypatch):
    (tmp_path / "no_such_package").mkdir()  # as W&B makes a folder wandb/
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TOOLS, "wandb", replace(TOOLS["wandb"], packages=("no_such_package",)))
    result = study(*FEW, "logger=wandb")
    assert result.err == 'study: error: logger=wandb: requires the extra wandb. pip install "regstudy[wandb]"\n'
    assert not (tmp_path / "outputs").exists()


@needs("wandb")
def test_a_mode_that_wandb_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "silly")
    with pytest.raises(ConfigError, match=r"WANDB_MODE=silly: must be one of online, offline, .*Example"):
        chosen("wandb")


@needs("wandb")
def test_wandb_without_a_key_is_refused_and_asks_nothing(tmp_path):
    result = run_command(*FEW, "logger=wandb", cwd=tmp_path, WANDB_MODE="online", HOME=str(tmp_path), WANDB_API_KEY="")
    assert result.code == 1
    assert "logger=wandb: W&B knows no API key. Give wandb login once, or set WANDB_MODE=offline" in result.err
    assert not (tmp_path / "outputs").exists()
