"""Sweeps that are killed again and again end with the bytes of one that was left alone."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_sweeps_that_are_killed_end_with_the_same_bytes():
    """The README's figures come from the same script with more kills."""
    script = [sys.executable, str(ROOT / "scripts" / "reliability.py"), "--kills", "5", "--epochs", "60", "--seed", "1"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stderr
    *_, alone, together = done.stdout.splitlines()
    for line in (alone, together):
        _, kills, _, in_a_write, compared, equal = map(int, line.strip("| ").split(" | "))
        assert kills >= 5
        assert in_a_write > 0
        assert compared == equal == 16
