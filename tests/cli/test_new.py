"""`study new`: what it writes runs by the commands that it prints, its test passes, and it changes no file."""

import os
import shlex
import subprocess
import sys

import pytest

from study.cli.new import COMMANDS
from tests.conftest import run_command, snapshot

LIGHT = ("epochs=1", "workers=1")
SHOWN = {"reg": "reg.power=1.5", "model": "model.width=50", "data": "data.noise=0.2", "optimizer": "optimizer.lr=1e-3"}


def printed(out, word):
    """The arguments of the commands in a message that begin with a word."""
    return [shlex.split(line)[1:] for line in out.splitlines() if line.strip().startswith(word)]


@pytest.mark.parametrize("group", COMMANDS)
def test_what_is_written_runs_by_the_printed_command(study, tmp_path, monkeypatch, group):
    name = f"own_{group}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    written = study("new", group, name)
    assert written.code == 0, written.err
    assert {str(file.relative_to(tmp_path)) for file in snapshot(tmp_path)} == {
        f"mine/{group}/{name}.yaml",
        f"mine/{name}.py",
        f"mine/test_{name}.py",
    }
    commands = printed(written.out, "study")
    for command in commands:
        few = () if command[0] == "analyze" else LIGHT
        done = study(*command, *few)
        assert done.code == 0, done.err
    assert name not in " ".join(sys.path)
    folders = " ".join(os.listdir(tmp_path / "outputs" / name))
    assert f"{name}-lam0.0001-seed0" in folders if group == "reg" else "l1-lam0.0001-seed0" in folders
    if group == "figure":
        assert (tmp_path / "outputs" / name / "analysis" / "figures" / f"{name}.pdf").is_file()
    else:
        explained = study("help", name, "--config-dir", "mine").out
        assert f"{group}={name}" in explained
        assert SHOWN[group] in explained


@pytest.mark.slow  # imports torch in another process
def test_the_written_tests_pass_under_pytest(study, tmp_path):
    """One process for all groups, since each would import torch."""
    files = []
    for group in COMMANDS:
        (command,) = printed(study("new", group, f"checked_{group}").out, "python -m pytest")
        files += command[2:]
    assert len(files) == len(COMMANDS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout


BAD_NAMES = {
    "bridge": {
        "rg": "rg: there is no such group. Allowed: reg, model, data, optimizer, figure. Did you mean reg?",
        "regularizer": "Did you mean reg?",
        "dataset": "Did you mean data?",
        "experiment": "Example: study new reg bridge",
    },
    "reg": {
        "l1": "reg=l1 comes with study. Give another name. Example: study new reg my_l1",
        "Bridge": "A name must be a lower-case letter, then such letters, digits and '_'",
        "1st": "1st: A name must be",
        "a-b": "a-b: A name must be",
        "../x": "../x: A name must be",
        "": "'': A name must be",
        "a\nb": "A name must be",
        "lambda": "lambda has a meaning of its own in Python or YAML",
        "null": "null has a meaning of its own",
        "nul": "is the name of a device on Windows",
        "testing": "pytest would take testing.py for a test",
        "statistics": "statistics is the name of a Python module already",
        "torch": "Example: study new reg my_torch",
        "study": "is the name of a Python module already",
    },
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(((group, "bridge"), message) for group, message in BAD_NAMES["bridge"].items()),
        *((("reg", name), message) for name, message in BAD_NAMES["reg"].items()),
        ((), "study new takes a group and a name. Groups: reg, model"),
        (("reg",), "Example: study new reg bridge"),
        (("reg", "a", "b"), "study new takes a group and a name"),
        (("figure", "gap"), "figure=gap comes with study"),
    ],
)
def test_what_cannot_be_a_variant_is_refused_in_one_line(study, tmp_path, arguments, message):
    result = study("new", *arguments)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert snapshot(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["mine/reg/bridge.yaml", "mine/bridge.py", "mine/test_bridge.py"])
def test_an_existing_file_is_not_changed_and_nothing_is_written_beside_it(study, tmp_path, there):
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).write_text("mine")
    result = study("new", "reg", "bridge")
    assert result.code == 1
    assert result.err == f"study: error: {there} exists, and is not changed. Give another name, or move it elsewhere\n"
    assert snapshot(tmp_path) == {tmp_path / there: b"mine"}


@pytest.mark.parametrize("file", ["mine", "mine/reg"])
def test_a_folder_that_cannot_be_written_gets_one_line_and_no_file(study, tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("a file where the folder should be")
    result = study("new", "reg", "bridge")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "cannot be written" in result.err
    assert list(snapshot(tmp_path)) == [tmp_path / file]


def test_nothing_remains_when_the_disk_is_full_before_the_last_file(tmp_path):
    command = shlex.join([sys.executable, "-m", "study", "new", "figure", "bridge"])
    limited = ["bash", "-c", f"ulimit -f 1; exec {command}"]  # KiB: the YAML file fits, the code does not
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("study: error: mine/bridge.py: cannot be written (File too large)")
    assert list(tmp_path.iterdir()) == []


def test_another_folder_can_be_given_and_the_commands_name_it(study, tmp_path):
    result = study("new", "reg", "bridge", "--config-dir", "of mine")
    assert (tmp_path / "of mine" / "reg" / "bridge.yaml").is_file()
    assert "study -m --config-dir 'of mine' reg=none,bridge" in result.out
    assert "python -m pytest 'of mine/test_bridge.py'" in result.out


@pytest.mark.slow  # several processes, each of which imports torch
def test_code_in_the_folder_of_options_is_found_by_every_worker_and_by_clean(study, tmp_path):
    """As a process, without PYTHONPATH: the workers are processes of their own."""
    assert study("new", "reg", "of_workers").code == 0
    few = ("data=digits", "data.train_size=50", "epochs=1", "model.hidden=[5]", "loop=general", "name=own")
    done = run_command("-m", "--config-dir", "mine", "reg=none,of_workers", "workers=2", *few, cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "cannot be checked" in study("clean", "name=own").out
    assert study("clean", "--config-dir", "mine", "name=own").out == "outputs/own: nothing to delete\n"
