"""What the docs and the README tell a user to type works; what is generated is current; every link leads somewhere."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from study.records.contract import COLUMNS, columns_of
from study.tasks import REGRESSION
from tests.conftest import ROOT, Result, run_here, without_looks

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = sorted((ROOT / "docs" / "how-to").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks, without comments."""
    lines = [line.partition("  #")[0].strip() for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def run(command: str, cwd: Path) -> Result:
    """Run a command of a page: `study` in this process, which has imported all that each would, else as a process."""
    name, *words = shlex.split(command)
    if name == "study":
        alone = () if words[0] in NO_TRAINING else ("workers=1",)
        result = run_here(*words, *alone, cwd=cwd)
        for module in [key for key, found in sys.modules.items() if _is_below(cwd, found)]:
            del sys.modules[module]  # the next command imports it for itself
        importlib.invalidate_caches()
        return result
    words = [str(ROOT / word) if word.startswith("scripts/") else word for word in words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    return Result(done.returncode, done.stdout, done.stderr)


def _is_below(folder: Path, module: ModuleType) -> bool:
    return (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}")


def write_files(page: Path, folder: Path) -> None:
    """The files that a page writes: blocks whose first line is a path below mine/."""
    for language in ("python", "yaml"):
        for block in blocks(page, language):
            if path := re.match(r"(?:# @package \S+\n)?# (mine/\S+)\n", block):
                (folder / path[1]).parent.mkdir(parents=True, exist_ok=True)
                (folder / path[1]).write_text(block)


MARKS = {  # of pages
    **dict.fromkeys(("paper", "sweeps"), pytest.mark.longest),
    "loggers": pytest.mark.skipif(
        find_spec("tensorboard") is None and "REGSTUDY_CI" not in os.environ, reason="needs tensorboard and mlflow"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=MARKS.get(page.stem, []))
        for page in (README, *GUIDES)
        if page.stem not in ("slurm", "ray")  # they need clusters: tests/sweep/test_slurm.py and test_ray.py have some
    ],
)
def test_the_commands_of_a_page_run_one_after_the_other(page, tmp_path):
    """Those on Fashion-MNIST, those that install and those that tune are left out: they take minutes.

    Tests are those that `study new` has written, by its own command; tests/cli/test_new.py runs them.
    """
    write_files(page, tmp_path)
    ran, said = 0, []
    for command in commands(page):
        on_digits = ("data=" in command and "data=fashion" not in command) or "suite=[" in command
        of_these = (
            command.split()[0] == "study"
            and command.split()[1] in ("analyze", "status", "compact", "expand", "export", "import")
            and "name=tuned" not in command
        )
        of_these = of_these and "name=mine" not in command
        if (
            (on_digits and "experiment=tuned" not in command)
            or of_these
            or command.startswith(("python mine/", "study new"))
            or "analyze --config-dir" in command
        ):
            done = run(command, tmp_path)
            assert done.code == 0, f"{command}\n{done.err}"
            said += [line.strip() for line in done.out.splitlines()]
            ran += 1
        elif command.startswith("python -m pytest mine/"):
            assert command in said
    assert ran or not commands(page)


NO_TRAINING = ("analyze", "status", "compact", "expand", "export", "import", "new", "cancel", "--help")
TRAINING = {  # the first page of each
    command: page
    for page in reversed([README, ROOT / "docs" / "tutorial.md", *GUIDES])
    for command in commands(page)
    if command.startswith("study ") and command.split()[1] not in NO_TRAINING
    if "--config-dir" not in command and "data.path" not in command  # these are run as they are
}


@pytest.mark.parametrize("command", TRAINING, ids=[f"{page.stem}: {line[:60]}" for line, page in TRAINING.items()])
def test_every_command_that_trains_is_valid(study, command):
    """With one epoch on few images, so that Fashion-MNIST itself is not needed; tuned studies are planned only."""
    arguments = shlex.split(command)[1:]
    few = ["data=digits", "epochs=1", "data.train_size=50", "name=check", "workers=1", "dry_run=true"]
    result = study(*arguments, *few)
    assert result.code == 0, result.err


@pytest.mark.slow
def test_scripts_analyze_is_study_analyze(study, finished, tmp_path):
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    by_command = study("analyze", "name=small", "figures=[]").out
    by_script = run("python scripts/analyze.py name=small figures=[]", tmp_path).out
    assert without_looks(by_script.encode()) == without_looks(by_command.encode()) != b""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert link.startswith("http") or (page.parent / link).exists(), link
    for name in re.findall(r"`((?:conf|scripts|study|tests)/[\w/.]+)`", text):
        if "<" not in name:
            assert (ROOT / name).exists(), name


def test_the_reference_pages_are_what_the_yaml_files_say():
    done = run("python scripts/reference.py --check", ROOT)
    assert done.code == 0, done.err


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_defined_in_the_docs(name):
    page = (ROOT / "docs" / "reference" / "files.md").read_text()
    assert f"**{name}**" in page
    columns = columns_of(name, REGRESSION)  # those of a classification are among them
    assert [column for column in columns if not re.search(rf"\b{re.escape(column)}\b", page)] == []


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150
