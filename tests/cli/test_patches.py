"""Whoever imports the package keeps Python and its libraries as they are; only the command changes them."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

STATE = """
import gc, os, signal, warnings, yaml, torch, scipy.special, scipy.stats, pandas, matplotlib.pyplot
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
def state():
    of_class = [dict(vars(kind)) for kind in (Hydra, ConfigStore, torch.optim.Optimizer, torch.optim.Adam)]
    methods = [getattr(m, "__wrapped__", m) for m in vars(torch.optim.Optimizer).values()]
    marks = [getattr(m, "__dynamo_disable", None) for m in methods]
    signals = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    return [
        gc.get_threshold(), os.environ.copy(), os._exit, yaml.SafeLoader, of_class, marks, signals, warnings.filters[:],
        torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype(),
    ]
before = state()
"""


@pytest.mark.parametrize(
    "imported",
    ["study", "study.analysis", "study.regularizers, study.data, study.models, study.optimizers", "study.cli.main"],
)
def test_importing_changes_nothing(imported):
    names = ", ".join(f"{name}" for name in imported.split(", "))
    code = f"{STATE}\nimport {names}\nfor one, other in zip(before, state()): assert one == other, (one, other)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_optimizer_does_not_import_torch_s_compiler():
    code = (
        "import sys, torch; from study import optimizers; w = [torch.nn.Parameter(torch.ones(2))];"
        "[o.zero_grad() or o.state_dict() for o in (optimizers.adam(w, 0.1), optimizers.sgd(w, 0.1))];"
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_ends_at_once_with_its_status_and_its_output():
    code = "import sys; sys.argv = ['study', 'show', 'zzz']; from study.cli.main import program; program()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "matches no run" in done.stderr
