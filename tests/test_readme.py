"""What the README tells a user to type works, as a process of its own."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, without_looks

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
ON_DIGITS = [
    command
    for command in COMMANDS
    if ("data=digits" in command or "name=small" in command) and "tuned" not in command  # that has tests of its own
]


def run(command: str, cwd: Path) -> subprocess.CompletedProcess:
    words = shlex.split(command)
    environment = dict(word.split("=") for word in words if word.startswith("PYTHONPATH="))
    words = words[len(environment) :]
    words = [sys.executable, *(["-m", "study"] if words[0] == "study" else []), *words[1:]]
    words = [str(ROOT / word) if word.startswith("scripts/") else word for word in words]
    return subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_the_commands_on_digits_run_one_after_the_other(tmp_path):
    *on_small, _ = ON_DIGITS
    assert len(on_small) == 4
    for command in on_small:
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stderr
    assert "l2-lam0.01" in done.stdout
    assert (tmp_path / "outputs" / "small" / "analysis" / "figures" / "weights.pdf").stat().st_size > 1000


@pytest.mark.slow
def test_the_penalty_that_the_readme_writes_is_trained_by_its_command(tmp_path):
    for language, name in (("python", "my_penalties.py"), ("yaml", "reg/bridge.yaml")):
        (block,) = (b for b in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if f"# mine/{name}" in b)
        (tmp_path / "mine" / "reg").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(block)
    assert run(ON_DIGITS[-1], tmp_path).returncode == 0
    done = run("study analyze name=bridges figures=[]", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bridge-lam0.001" in done.stdout


@pytest.mark.slow
def test_scripts_analyze_is_study_analyze(study, finished, tmp_path):
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    by_command = study("analyze", "name=small", "figures=[]").out
    by_script = run("python scripts/analyze.py name=small figures=[]", tmp_path).stdout
    assert without_looks(by_script.encode()) == without_looks(by_command.encode()) != b""


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("study ") and "analyze" not in c])
def test_every_command_that_trains_is_valid(study, command):
    """The same overrides with one epoch on few images, so that Fashion-MNIST itself is not needed; a tuned study, whose
    many trials have tests of their own, is planned only.
    """
    arguments = shlex.split(command)[1:]
    few = ["data=digits", "epochs=1", "data.train_size=50", "name=check", "workers=1"]
    result = study(*arguments, *few, *(["dry_run=true"] if "experiment=tuned" in arguments else []))
    assert result.code == 0, result.err


def test_every_file_and_folder_that_the_readme_names_is_there():
    for name in re.findall(r"\]\((docs/[^)]+)\)", README) + re.findall(r"`((?:conf|scripts)/[\w/.]+)`", README):
        assert (ROOT / name).exists() or name == "conf/reg/l1_weights.yaml", name
