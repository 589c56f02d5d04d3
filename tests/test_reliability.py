"""Slow: sweeps that are killed at random moments end with the bytes of one that was left alone."""

import random
import sys

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import reliability


@pytest.mark.slow
@pytest.mark.parametrize(("together", "kills"), [(1, 30), (2, 6)])
def test_a_sweep_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path, together, kills):
    tally = reliability.measure(kills, together, tmp_path, random.Random(together))
    assert tally.kills >= kills
    assert tally.in_a_write >= 5 or together == 2
    assert tally.compared >= 8
    assert tally.different == []
