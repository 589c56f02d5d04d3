"""Refuse those of Hydra's own settings (`hydra.*`) that would have no effect here."""

from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from study.errors import ConfigError

OWN_LAUNCHER = "basic"  # Hydra's default; this package's own workers train then
SLURM = "slurm"
RAY = "ray"
USED = ("hydra.searchpath", "hydra.callbacks", "hydra/callbacks")
BY_SWEEPS = ("hydra/launcher", "hydra.launcher")
# Used by launchers that start Hydra jobs, if the command line sets them. Jobs do not read an experiment's YAML.
BY_JOBS = (
    *("hydra.job.", "hydra.verbose", "hydra.job_logging", "hydra/job_logging"),
    *("hydra.hydra_logging", "hydra/hydra_logging"),
)
RUNS = "Runs are written to outputs/<name>/<run>/ below the current folder. Leave it out, and set name=..."
TABLES = "Tables and figures are written to outputs/<name>/analysis/ below the current folder. Leave it out"
JOBS = "Only Hydra launchers (hydra/launcher=...) use it, if the command line sets it. Leave it out"
# The value that the composed config must have, and the end of the message if it has another one.
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
    """Refuse settings of Hydra that would have no effect, given on the command line or in an option's YAML.

    Args:
        node: the node `hydra` of a composed config.
        analysis: whether the config is that of `study analyze`.

    Raises:
        ConfigError: a setting has no effect.
    """
    typed: dict[str, str] = {}
    for line in node.overrides.hydra:
        typed.setdefault(line.lstrip("+~").partition("=")[0], line)  # Hydra's own additions come last
    used = USED if analysis else (*USED, *BY_SWEEPS)
    if not analysis and node.runtime.choices["hydra/launcher"] != OWN_LAUNCHER:
        used = (*used, *BY_JOBS)
    mode = RunMode.RUN if analysis else RunMode.MULTIRUN
    fixed = {**FIXED, "mode": (mode.name, "study sweeps with -m, and study analyze never sweeps. Leave it out")}
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
            raise ConfigError(f"{said}: has no effect here. {why}")
    for key, line in typed.items():
        if not key.startswith(used) and key.removeprefix("hydra.") not in fixed:
            listed = ", ".join(prefix.rstrip(".") for prefix in used)
            raise ConfigError(f"{line}: has no effect here. Hydra settings that are allowed: {listed}. Leave it out")


def _raw(node: DictConfig, key: str) -> Any:
    """A value with its interpolations unresolved; None if the key does not exist."""
    tree: Any = OmegaConf.to_container(OmegaConf.masked_copy(node, [key.partition(".")[0]]), resolve=False)
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
