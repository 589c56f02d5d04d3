"""sweeps.jsonl has every run whole, although it writes what runs share only once."""

import json

from study.records.sweeps import SWEEPS, recorded_runs
from study.sweep.freeze import recorded_tasks
from tests.conftest import run_folders


def test_runs_are_read_as_they_were_planned(study, tmp_path):
    sweep = ("-m", "reg=l1,l2", "lam=1e-3,1e-2", "seeds=3", "data=digits", "data.train_size=50", "model.hidden=[5]")
    assert study(*sweep, "epochs=1", "workers=1", "name=many").code == 0
    folder = tmp_path / "outputs" / "many"
    text = (folder / SWEEPS).read_text()
    assert text.count("study.optimizers.adam") == text.count("study.data.digits") == 1
    tasks = recorded_tasks(folder, [run["run_id"] for run in recorded_runs(folder)])
    assert {task.folder for task in tasks} == set(run_folders(folder))
    for task in tasks:
        status = json.loads((task.folder / "status.json").read_text())
        assert status["setting"] == task.setting
        assert (task.folder / "config.yaml").read_text() == task.config.to_yaml()


def test_lines_of_earlier_versions_and_damaged_ones_are_read(tmp_path):
    run = {"run_id": "a", "folder": "x", "config": {"seed": 0, "data": {"option": "digits"}}, "setting": {"epochs": 1}}
    lines = [
        json.dumps({"runs": [run]}),
        json.dumps({"shared": [], "runs": [{"setting": {"shared": 4}}]}),
        '{"runs": [{',
    ]
    (tmp_path / SWEEPS).write_text("\n".join(lines))
    assert recorded_runs(tmp_path) == [run]
