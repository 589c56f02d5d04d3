"""The wheel works in another folder: configs, sweeper and embedded data come along."""

import subprocess
import sys

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


def test_a_wheel_trains_and_analyzes_in_another_folder(wheel_folder, tmp_path):
    assert (wheel_folder / "study" / "conf" / "config.yaml").is_file()
    arguments = ("-m", "data=fashion_mnist_mini", "reg=none,l1", "epochs=1", "model.hidden=[10]")
    result = run_command(*arguments, cwd=tmp_path, PYTHONPATH=str(wheel_folder))
    assert result.code == 0, result.err
    assert len(run_folders(tmp_path / "outputs" / "default")) == 2
    assert run_command("analyze", cwd=tmp_path, PYTHONPATH=str(wheel_folder)).code == 0


def test_tab_completion_is_installed_as_hydra_documents_it(tmp_path):
    result = run_command("--shell-completion", "install=bash", cwd=tmp_path)
    assert result.code == 0
    assert "complete " in result.out
