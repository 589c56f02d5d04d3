"""`study plan`: a dry run of a study, with the number of seeds that it needs and what it costs."""

import sys
from functools import partial

from hydra.types import RunMode

from study.cli.arguments import key_values
from study.cli.hydra_app import run_hydra

TIMING = "timing="


def study_plan(arguments: list[str]) -> int:
    """study plan KEY=VALUE ...: print how many seeds a study needs, how long it takes, and its size on disk.

    Give the keys of the study: study plan experiment=book seeds=5. The command prints

    - the number of runs and of contrasts;
    - how many seeds find differences of 0.5, 0.3 and 0.2 points in the primary measure with 80 % power, corrected for
      all contrasts. How much differences vary is taken from complete runs of the study; else, from the most similar of
      some studies that come with the package;
    - the smallest difference that any number of seeds can show if it must also hold for other data;
    - the time on this machine, and the size on disk, from complete runs of the study, or from short trainings in a
      temporary folder. timing=false skips these.

    For regression, the differences are 2, 1 and 0.5 standard deviations.
    """
    own = [word for word in arguments if word.startswith(TIMING)]
    timing = key_values(own, {"timing": "true"}, {"timing": ("true", "false")})["timing"] == "true"
    sys.argv[1:] = [word for word in sys.argv[2:] if not word.startswith((TIMING, "dry_run="))] + ["dry_run=true"]
    from study.planning.command import plan

    run_hydra("config", RunMode.MULTIRUN, partial(plan, timing=timing))
    return 0
