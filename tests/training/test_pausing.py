"""A run that is asked to pause stops after its step, and ends with the bytes of one that was not."""

import json
from itertools import count

import pytest

from study.sweep.freeze import recorded_task
from study.training.crew import train_alone
from study.training.run import begin_run
from tests.conftest import run_folders
from tests.training.test_resume import same_bytes

FEW = ("data=digits", "data.train_size=100", "epochs=3", "batch_size=20", "model.hidden=[5]")


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("general", ("reg=dropout", "schedule=cosine", "schedule.warmup=1")),
        ("general", ("reg=ema", "reg.schedule=warmup")),
        ("compiled_step", ("reg=mixup", "optimizer=sgd", "optimizer.momentum=0.9")),
        ("compiled_step", ("reg=l2_norm", "reg.schedule=warmup", "model.norm=batch")),
    ],
    ids=["dropout", "ema", "mixup", "l2_norm"],
)
def test_it_goes_on_within_the_epoch_with_the_same_bytes(study, tmp_path, path, options):
    assert study(*FEW, *options).code == 0
    (whole,) = run_folders(tmp_path / "outputs" / "default")
    task = recorded_task(whole.parent, json.loads((whole / "status.json").read_text())["run_id"])
    assert task.path == path
    work, causes = tmp_path / "paused", []
    work.mkdir()
    while True:
        steps = count(1)
        outcome = train_alone(begin_run(task, work, lambda *_: True, lambda: next(steps) % 3 == 0))  # noqa: B023  the third time it is asked
        if outcome.state != "interrupted":
            break
        causes.append(outcome.cause)
    assert outcome.state == "complete", outcome
    assert causes == [f"stopped in epoch {epoch}" for epoch in (1, 2, 3, 3)]  # of five steps each
    same_bytes(work, whole)
