"""hydra/launcher=ray on real Ray: a cluster of this machine alone, and one of two nodes, of which one is killed."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from study.records.status import read_status
from study.sweep.launchers.ray_task import train_there
from tests.conftest import run_command, run_folders, run_here, snapshot, under_way
from tests.loggers.test_loggers import have_every_epoch, needs
from tests.sweep.test_slurm import same_runs, wait_for

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None and "REGSTUDY_CI" not in os.environ, reason="no Ray: pip install -e '.[ray]'"
)
FEW = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]")
SLOW_RUNS = ("data=fashion_mnist_mini", "data.train_size=1000", "epochs=20", "model=cnn")
RAY = ("hydra/launcher=ray",)


@pytest.fixture
def place():
    """A folder with a short path, for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        yield folder


@pytest.fixture
def environment(place):
    """The variables of a cluster: a token of its own keeps everybody else out."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {**token, "RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": place}


def processes(session: int) -> list[int]:
    """The processes of a session. Ray's leave the group of the process that started them, not its session."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, of = file.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(file.parent.name))
    return found


def kill(session: int) -> list[int]:
    """Kill the processes of a session; return them."""
    killed = processes(session)
    for pid in killed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return killed


@contextmanager
def node(*options: str, environment: dict[str, str]):
    """A node of a cluster while the block runs; its session."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options, "--block"]
    with tempfile.NamedTemporaryFile("w+", dir=environment["TMPDIR"]) as log:
        start = {"env": os.environ | environment, "stdout": log, "stderr": log, "start_new_session": True}
        process = subprocess.Popen(command, **start)
        try:
            wait_for(lambda: "This command will now block" in Path(log.name).read_text() or process.poll(), 60)
            assert process.poll() is None, Path(log.name).read_text()
            yield process.pid
        finally:
            kill(process.pid)
            process.wait()


@contextmanager
def started(*arguments: str, cwd: Path, environment: dict[str, str]):
    """The command in a session of its own, which has no process left after the block."""
    command = [sys.executable, "-m", "study", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=cwd, env=os.environ | environment, start_new_session=True, **pipes)
    try:
        yield process
        wait_for(lambda: not processes(process.pid), 20)
    finally:
        kill(process.pid)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def head(request, place, environment):
    """The address of a cluster with one node of so many cores, and a GPU that nothing computes on."""
    port = free_port()
    where = (f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={place}/ray", "--include-dashboard=false")
    with node("--head", *where, f"--num-cpus={request.param}", "--num-gpus=1", environment=environment):
        yield f"127.0.0.1:{port}"


def side_by_side(folder: Path) -> int:
    """The largest number of runs that trained at the same time."""
    found = [read_status(run) for run in run_folders(folder)]
    spans = [[datetime.fromisoformat(status[key]) for key in ("started", "ended")] for status in found]
    return max(sum(other[0] <= span[0] < other[1] for other in spans) for span in spans)


def trained_by(session: int, folder: Path) -> list[Path]:
    """The runs that processes of a session have trained."""
    here = set(processes(session))
    return [run for run in run_folders(folder) if read_status(run)["owner"]["pid"] in here] if folder.is_dir() else []


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("head", [1], indirect=True)
def test_200_runs_end_with_the_bytes_of_a_local_sweep_although_a_node_dies(tmp_path, head, environment):
    command = ("-m", *FEW, "reg=none,l1", "seeds=100", "name=many")
    local = tmp_path / "local"
    local.mkdir()
    assert run_here(*command, "workers=1", cwd=local).code == 0
    arguments = [*command, *RAY, f"hydra.launcher.address={head}"]
    outputs = tmp_path / "outputs/many"
    where = (f"--address={head}", "--node-ip-address=127.0.0.2", "--num-cpus=1")
    with (
        node(*where, environment=environment) as two,
        started(*arguments, cwd=tmp_path, environment=environment) as first,
    ):
        wait_for(lambda: len(trained_by(two, outputs)) >= 30, 200)
        kill(two)
        assert len(run_folders(outputs)) < 200
        said, errors = first.communicate(timeout=200)
    assert (first.returncode, errors) == (0, ""), said  # Ray has started the lost tasks again on the other node
    assert "outputs/many: 200 complete" in said
    again = run_command(*arguments, cwd=tmp_path, timeout=200, **environment)
    assert again.code == 0, again.err
    assert "outputs/many: 200 already complete" in again.out
    assert same_runs(outputs, local / "outputs/many") == 200
    assert under_way(outputs) == []


@needs_ray
@needs("tensorboard", "mlflow")
@pytest.mark.slow
def test_by_default_a_cluster_of_this_machine_trains_with_loggers_and_leaves_nothing_behind(tmp_path, environment):
    rows = "".join(f"{x},{x % 7},{x % 2}\n" for x in range(60))
    (tmp_path / "table.csv").write_text(f"a,b,label\n{rows}")
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "mine.py").write_text("def penalty(w):\n    return w.abs().sum()\n")
    (tmp_path / "own" / "reg" / "mine.yaml").write_text("_target_: mine.penalty\nlam: 1e-4\n")
    table = ("data=csv", "data.path=table.csv", "data.target=label")
    sweep = ("--config-dir", "own", "-m", "reg=mine,l1", "seeds=2", *table)
    logged = ("logger=[tensorboard,mlflow]", "name=launched")
    with started(*sweep, *RAY, *logged, cwd=tmp_path, environment=environment) as command:
        said, errors = command.communicate(timeout=120)
    assert errors == ""
    assert command.returncode == 0
    assert "outputs/launched: 4 complete" in said
    assert os.listdir(environment["TMPDIR"]) == []
    assert run_command(*sweep, "name=own", cwd=tmp_path).code == 0
    assert same_runs(tmp_path / "outputs/launched", tmp_path / "outputs/own") == 4
    assert have_every_epoch(tmp_path / "outputs/launched")


@needs_ray
@pytest.mark.slow
def test_ctrl_c_lets_the_epochs_finish_and_ends_the_cluster(tmp_path, environment):
    outputs = tmp_path / "outputs/stopped"
    command = ("-m", *SLOW_RUNS, "seeds=3", "reg=none", *RAY, "name=stopped")
    with started(*command, cwd=tmp_path, environment=environment) as process:
        wait_for(lambda: any("\n1," in metrics.read_text() for metrics in outputs.glob(".work/*/metrics.csv")))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finishing the running epochs" in said
    assert errors == "study: interrupted; the same command resumes\n"
    given_back = under_way(outputs)
    assert given_back
    for work in given_back:
        assert work.name.endswith("@free")
        assert "interrupted after epoch" in (work / "run.log").read_text()
        assert (work / "checkpoint.pt").exists()
    assert os.listdir(environment["TMPDIR"]) == []


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("head", [2], indirect=True)
def test_runs_share_a_card_by_fractions_and_a_cluster_without_room_is_told(tmp_path, head, environment):
    """The node only says that it has a card. The runs train on the CPU: this shows which of them Ray starts."""
    few = ("-m", *SLOW_RUNS, "epochs=1", "device=cpu", "reg=none", "seeds=3")
    command = (*few, *RAY, f"hydra.launcher.address={head}")
    for gpus, most in ((0.5, 2), (0.6, 1)):
        options = (f"hydra.launcher.gpus={gpus}", f"name=of-{most}")
        done = run_command(*command, *options, cwd=tmp_path, **environment)
        assert done.code == 0, done.err
        assert side_by_side(tmp_path / f"outputs/of-{most}") == most
    done = run_command(*command, "hydra.launcher.cpus=64", "name=large", cwd=tmp_path, **environment)
    assert done.code == 1
    assert "a run needs 64 CPUs and 0 GPUs, and no node has them. The nodes have 2 CPUs and 1 GPUs" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    {
        ("hydra.launcher.cpus=0",): "hydra.launcher.cpus=0: allowed: numbers of at least 1, or null",
        ("hydra.launcher.parallel=-2",): "hydra.launcher.parallel=-2: allowed: numbers of at least 1, or null",
        ("hydra.launcher.gpus=-0.5",): "hydra.launcher.gpus=-0.5: allowed: numbers from 0 to 1",
        ("hydra.launcher.gpus=1.5",): "hydra.launcher.gpus=1.5: allowed: numbers from 0 to 1",
        ("hydra.launcher.gpus=nan",): "hydra.launcher.gpus=nan: allowed: numbers from 0 to 1",
        ("hydra.launcher.gpus=many",): "hydra.launcher.gpus",
        ("hydra.launcher.nodes=2",): "nodes",
        ("hydra.launcher.gpus=0", "device=cuda"): "device=cuda: hydra.launcher.gpus=0 gives the runs no GPU",
        ("on_failure=stop",): "Allowed: continue",
        ("wait=false",): "only jobs of hydra/launcher=slurm go on without this command",
    }.items(),
    ids=lambda value: value[-1] if isinstance(value, tuple) else None,
)
def test_what_is_not_allowed_is_said_in_one_line_and_nothing_is_written(study, tmp_path, arguments, line):
    result = study(*FEW, *RAY, *arguments)
    assert result.code == 1
    assert line in result.err
    assert result.err.count("\n") == 1
    assert snapshot(tmp_path) == {}


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "line"),
    {
        "hydra.launcher.address=here": "hydra.launcher.address=here: allowed: host:port, auto, or null",
        "hydra.launcher.address='ray://here:1'": "allowed: host:port, auto, or null",
        "hydra.launcher.address=auto": "hydra.launcher.address=auto: no running Ray cluster is there",
        "hydra.launcher.address=127.0.0.1:1": "hydra.launcher.address=127.0.0.1:1: nobody answers within 10 s",
        "hydra.launcher.cpus=4096": "a run needs 4096 CPUs, and this machine has",
    }.items(),
)
def test_a_cluster_that_cannot_train_is_refused_before_anything_is_written(tmp_path, place, argument, line):
    result = run_command(*FEW, *RAY, argument, cwd=tmp_path)
    assert result.code == 1
    assert line in result.err
    assert result.err.count("\n") == 1
    assert snapshot(tmp_path) == {}


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_what_to_install(study, tmp_path):
    result = study(*FEW, *RAY)
    assert result.code == 1
    assert "hydra/launcher=ray needs Ray. Install it: pip install 'regstudy[ray]'" in result.err
    assert snapshot(tmp_path) == {}


def test_a_node_that_does_not_see_the_folder_is_named(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shared = "cannot use {} (No such file or directory). All nodes must share this folder"
    here, gone = tmp_path, tmp_path / "gone"
    assert shared.format(gone / "outputs") in str(train_there(gone, gone / "outputs", "0"))
    assert shared.format(gone) in str(train_there(here, gone, "0"))
    assert "has no run 0" in str(train_there(here, small, "0"))
