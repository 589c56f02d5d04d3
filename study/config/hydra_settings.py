"""Which of Hydra's own settings (`hydra.*`) are used here: others would change nothing, so they are refused."""

from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from study.errors import ConfigError

OWN_LAUNCHER = "basic"  # Hydra's default: our own workers train
USED = ("hydra.searchpath", "hydra.callbacks", "hydra/callbacks")
BY_SWEEPS = ("hydra/launcher", "hydra.launcher")
# By launchers that start jobs of Hydra's, where the command line sets them; jobs do not read an experiment's YAML.
BY_JOBS = (
    *("hydra.job.", "hydra.verbose", "hydra.job_logging", "hydra/job_logging"),
    *("hydra.hydra_logging", "hydra/hydra_logging"),
)
RUNS = "Runs go to outputs/<name>/<run>/ below the folder of the command. Leave it out, and set name=..."
TABLES = "Tables and figures go to outputs/<name>/analysis/ below the folder of the command. Leave it out"
JOBS = "Launchers of Hydra's (hydra/launcher=...) use it, where the command line sets it. Leave it out"
# What the composed config must have, and otherwise is said.
FIXED = {
    "run.dir": (".", RUNS),
    "sweep.dir": (".", RUNS),
    "sweep.subdir": (".", RUNS),
    "job.chdir": (False, RUNS),
    "output_subdir": (None, "Each run's folder has its config.yaml. Leave it out"),
    "sweeper._target_": ("hydra_plugins.study_sweeper.StudySweeper", "study has a sweeper of its own. Leave it out"),
    "job.env_set": ({}, JOBS),
    "job.env_copy": ([], JOBS),
    "verbose": (False, JOBS),
}


def check_hydra(node: DictConfig, analysis: bool = False) -> None:
    """Refuse settings of Hydra's that would be ignored, from the command line or from an option's YAML.

    Args:
        node: the node `hydra` of a composed config.
        analysis: whether that is the config of `study analyze`.

    Raises:
        ConfigError: a setting is not used here.
    """
    typed: dict[str, str] = {}
    for line in node.overrides.hydra:
        typed.setdefault(line.lstrip("+~").partition("=")[0], line)  # what Hydra adds of its own comes last
    used = USED if analysis else (*USED, *BY_SWEEPS)
    if not analysis and node.runtime.choices["hydra/launcher"] != OWN_LAUNCHER:
        used = (*used, *BY_JOBS)
    mode = RunMode.RUN if analysis else RunMode.MULTIRUN
    fixed = {**FIXED, "mode": (mode.name, "study sweeps with -m, study analyze never. Leave it out")}
    if analysis:
        fixed |= {key: (value, TABLES) for key, (value, why) in fixed.items() if why == RUNS}
        del fixed["sweeper._target_"]
    for key, (value, why) in fixed.items():
        full = f"hydra.{key}"
        found = typed.get(full, f"={node.mode.name}").partition("=")[2] if key == "mode" else _raw(node, key)
        by_launcher = any(line.startswith(full) for line in typed) and full.startswith(used) and why == JOBS
        if found != value and not by_launcher:
            group = "hydra/sweeper" if key.startswith("sweeper") else full
            said = typed.get(full) or typed.get(group) or f"{full}={found}"
            raise ConfigError(f"{said}: not used here. {why}")
    for key, line in typed.items():
        if not key.startswith(used) and key.removeprefix("hydra.") not in fixed:
            listed = ", ".join(prefix.rstrip(".") for prefix in used)
            raise ConfigError(f"{line}: not used here. Of Hydra's settings these are: {listed}. Leave it out")


def _raw(node: DictConfig, key: str) -> Any:
    """A value as it is written, interpolations included; None where it is not there."""
    tree: Any = OmegaConf.to_container(OmegaConf.masked_copy(node, [key.partition(".")[0]]), resolve=False)
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
