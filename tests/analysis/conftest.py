"""A study of ten variants, for tests of tables."""

import pytest

from study.analysis.reading.collect import collect
from study.analysis.statistics.contrasts import choose_baselines
from study.analysis.statistics.gaps import at_epoch, gap_table
from tests.conftest import run_here

FEW = ("data=digits", "data.train_size=100", "epochs=10", "model.hidden=[8]", "optimizer.lr=0.01", "workers=1")
TEN = "variants=[{reg: none}, {reg: [l1, l2, l2_norm], lam: [1e-4, 1e-2, 0.5]}]"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A study of ten variants and three seeds."""
    folder = tmp_path_factory.mktemp("ten")
    result = run_here(*FEW, TEN, "seeds=3", "name=ten", cwd=folder)
    assert result.code == 0, result.err
    return folder / "outputs" / "ten"


@pytest.fixture(scope="session")
def table(trained):
    """Its gap table."""
    rows = at_epoch(collect(trained), "last").assign(context="")
    return gap_table(rows, choose_baselines(rows, "auto"))
