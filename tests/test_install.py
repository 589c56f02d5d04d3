"""The wheel works in another folder: configs, sweeper and embedded data come along."""

import re
import subprocess
import sys

import pandas as pd
import pytest

from tests.conftest import ROOT, run_command, run_folders


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory):
    """The wheel's content, unpacked where Python finds it before the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder / "dist"), str(ROOT)], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


@pytest.mark.slow  # compiles anew
@pytest.mark.longest  # .ci/package does the same in a clean environment
def test_a_wheel_trains_and_analyzes_in_another_folder(wheel_folder, tmp_path):
    assert (wheel_folder / "study" / "conf" / "config.yaml").is_file()
    arguments = ("-m", "data=fashion_mnist_mini", "reg=none,l1", "epochs=1", "model.hidden=[10]")
    result = run_command(*arguments, cwd=tmp_path, PYTHONPATH=str(wheel_folder))
    assert result.code == 0, result.err
    runs = run_folders(tmp_path / "outputs" / "default")
    assert len(runs) == 2
    # A module of compiled code that the wheel lacks would be fallen back from, not told as an error.
    assert all('"path": "mlp"' in (run / "status.json").read_text() for run in runs)
    assert run_command("analyze", cwd=tmp_path, PYTHONPATH=str(wheel_folder)).code == 0


def test_tab_completion_is_installed_as_hydra_documents_it(tmp_path):
    result = run_command("--shell-completion", "install=bash", cwd=tmp_path)
    assert result.code == 0
    assert "complete " in result.out


@pytest.mark.slow
def test_ones_own_code_needs_no_change_in_the_wheel(wheel_folder, tmp_path):
    """The class with a hook that docs/how-to/regularizer.md writes, from a folder of the user's own."""
    page = (ROOT / "docs" / "how-to" / "regularizer.md").read_text()
    for language, name in (("python", "my_clipping.py"), ("yaml", "reg/clip.yaml")):
        (block,) = (b for b in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) if f"# mine/{name}" in b)
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(block)
    path = str(wheel_folder)
    arguments = ("-m", "--config-dir", "mine", "reg=none,clip", "lam=0.02", "data=digits", "epochs=2", "name=clipped")
    result = run_command(*arguments, cwd=tmp_path, PYTHONPATH=path)
    assert result.code == 0, result.err
    (clipped,) = (tmp_path / "outputs" / "clipped").glob("clip-lam0.02-seed0-*")
    weights = pd.read_csv(clipped / "weights.csv")
    assert weights.query("epoch > 0")["abs_max"].max() == pytest.approx(0.02, rel=1e-6)
    assert weights.query("epoch == 0")["abs_max"].max() > 0.1
    assert run_command("new", "data", "rings", cwd=tmp_path, PYTHONPATH=path).code == 0  # the wheel has the templates
    analyzed = run_command("analyze", "name=clipped", "figures=[]", cwd=tmp_path, PYTHONPATH=path)
    assert analyzed.code == 0, analyzed.err
