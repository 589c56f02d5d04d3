"""Whoever imports the package keeps Python and its libraries as they are; only the command changes them."""

import re
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


# Each of the programs in its arguments runs in a fork of its own, of a process that has imported the libraries alone.
FORKED = f"""
import sys, traceback
{STATE}
for program in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            exec(program)
        except BaseException:
            print(traceback.format_exc())
            os._exit(1)
        os._exit(0)
    print("status", os.waitpid(child, 0)[1], flush=True)
"""
UNCHANGED = "for one, other in zip(before, state(), strict=True): assert one == other, (one, other)"
STEPPED = """
from study import optimizers
weights = [torch.nn.Parameter(torch.ones(2))]
for make in (optimizers.adam, optimizers.adamw, optimizers.sgd, optimizers.rmsprop):
    optimizer = make(weights, 0.1)
    optimizer.zero_grad()
    weights[0].square().sum().backward()
    optimizer.step()
    optimizer.state_dict()
assert 'torch._dynamo' not in sys.modules
"""
PROGRAMS = {
    "study": f"import study\n{UNCHANGED}",
    "study.analysis": f"import study.analysis\n{UNCHANGED}",
    "parts of a run": f"import study.regularizers, study.data, study.models, study.optimizers\n{UNCHANGED}",
    "study.cli.main": f"import study.cli.main\n{UNCHANGED}",
    "optimizers": STEPPED,
}


@pytest.fixture(scope="module")
def outcomes():
    """What each program has printed, empty if it has ended well."""
    command = [sys.executable, "-c", FORKED, *PROGRAMS.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *printed, rest = re.split(r"^(status \d+)\n", done.stdout, flags=re.MULTILINE)
    assert rest == ""
    said = zip(printed[::2], printed[1::2], strict=True)
    return dict(zip(PROGRAMS, said, strict=True))


@pytest.mark.parametrize("imported", [name for name in PROGRAMS if name != "optimizers"])
def test_importing_changes_nothing(outcomes, imported):
    assert outcomes[imported] == ("", "status 0")


def test_an_optimizer_does_not_import_torch_s_compiler(outcomes):
    assert outcomes["optimizers"] == ("", "status 0")


def test_the_command_ends_at_once_with_its_status_and_its_output():
    code = "import sys; sys.argv = ['study', 'show', 'zzz']; from study.cli.main import program; program()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "matches no run" in done.stderr
