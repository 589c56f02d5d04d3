"""Check each test and interval of the analysis on cases with a known truth.

    python scripts/validate_statistics.py                    # all checks; minutes on two cores
    python scripts/validate_statistics.py --groups 40        # fewer repetitions of the trainings
    python scripts/validate_statistics.py --only coverage    # one of the checks in scripts/validation/

A/A comparisons: several variants train on digits. Those of one seed share the split and differ only in initial weights
and batch order, so no variant is better. Each group of seeds is one study, and groups have no seed in common. For the
first n seeds of each group, the table has the rate at which each test rejects at 5 %, beside the level that the test
can attain with n seeds (a sign-flip test has only 2ⁿ⁻¹ p-values). It also has the rate at which one of several
contrasts gets a star after Holm's correction, and the rate at which one gets the verdict better or worse with a margin
of equivalence. Coverage and power are simulated. So is equivalence where the true difference is exactly the margin, so
that each claim of equivalence is false. Studies with seeds=auto are followed through their rounds.

Rates have an exact 99 % interval. `too often` marks a rate whose whole interval is above its level; then the script
exits with 1. Writes outputs/validation/validation.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from validation.adaptive_search import adaptive_search
from validation.equivalence import equivalence
from validation.interaction import changes
from validation.intervals import coverage, power
from validation.same_and_same import same_and_same
from validation.sequential import sequential
from validation.suites import suites
from validation.variance_components import components

from study.records.files import write_whole

TARGET = Path("outputs/validation/validation.md")
CHECKS = {
    "coverage": coverage,
    "power": lambda generator: power(generator, 0.3),
    "variance_components": components,
    "interaction": changes,
    "equivalence": lambda generator: equivalence(generator, 0.3),
    "sequential": sequential,
    "adaptive_search": adaptive_search,
    "suites": suites,
}  # by the name for --only, each a function of a generator that returns rows of the table


def main() -> int:
    """Run the checks, and print and write the table; return 1 if a rate is too high."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=400, help="number of studies of the A/A comparison")
    parser.add_argument("--only", choices=["same_and_same", *CHECKS], help="a single check, which is not written")
    given = parser.parse_args()
    lines = same_and_same(given.groups) if given.only in (None, "same_and_same") else []
    for name, check in CHECKS.items():
        if given.only in (None, name):
            lines += check(np.random.default_rng(0))
    header = ["What", "Rate and 99 % interval", "Level, or power by formula", ""]
    rows = [line + [""] * (len(header) - len(line)) for line in lines]
    page = "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]) + "\n"
    if given.only is None:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        write_whole(TARGET, page)
    print(page)
    return 1 if any("too often" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
