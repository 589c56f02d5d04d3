"""The keys of conf/config.yaml and conf/analysis.yaml, with their types."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class StudySchema:
    """The keys that a command line for runs may set, with their types. Hydra checks both; `resolve` checks ranges.

    The keys of a group are open here, because they depend on its option. `resolve` checks them against the signature
    of the option's target.
    """

    name: str = MISSING
    seed: Any = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    lam: float | None = MISSING
    task: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    reg: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    clip_norm: float | None = MISSING
    precision: str = MISSING
    score_train: int | None = MISSING
    seeds: Any = None
    half_width: float | None = None
    max_seeds: int | None = None
    variants: list[Any] = field(default_factory=list)
    suite: Any = None
    device: Any = MISSING
    threads: int = MISSING
    workers: int | None = None
    checkpoint_every: float = MISSING
    keep_checkpoint: bool = MISSING
    keep_model: bool = MISSING
    retry_failed: bool = MISSING
    on_failure: str = MISSING
    loop: str = MISSING
    lockstep: int = MISSING
    logger: Any = None
    dry_run: bool = MISSING
    wait: bool = MISSING
    primary: str | None = None
    equivalence: float | None = None
    hypotheses: Any = None
    select: str | None = None
    budget: str = MISSING
    tune: Any = None
    allow: Any = field(default_factory=list)


@dataclass
class SlurmSchema:
    """The keys of hydra/launcher=slurm, with their types; conf/hydra/launcher/slurm.yaml has the defaults."""

    partition: str | None = None
    account: str | None = None
    time: int = MISSING
    mem_gb: float = MISSING
    cpus: int = MISSING
    gpus: int = MISSING
    parallel: int | None = None
    runs_per_job: Any = MISSING
    setup: list[str] = field(default_factory=list)
    sbatch: dict[str, Any] = field(default_factory=dict)


@dataclass
class RaySchema:
    """The keys of hydra/launcher=ray, with their types; conf/hydra/launcher/ray.yaml has the defaults."""

    address: str | None = None
    cpus: int | None = None
    gpus: float = MISSING
    parallel: int | None = None


@dataclass
class TableSchema:
    """The keys below `table`, with their types; conf/analysis.yaml has the defaults."""

    siunitx: bool = MISSING
    caption: Any = MISSING
    label: Any = MISSING
    width: Any = MISSING


@dataclass
class AnalysisSchema:
    """The keys that a command line of `study analyze` may set, with their types."""

    name: str = MISSING
    at: Any = MISSING
    partial: bool = MISSING
    baseline: str = MISSING
    phase: str = MISSING
    allow: Any = field(default_factory=list)
    figures: Any = field(default_factory=list)
    variants: Any = None
    filter: dict[str, Any] = field(default_factory=dict)
    spread: str = MISSING
    lam_within: float | None = None
    columns: Any = MISSING
    table: TableSchema = field(default_factory=TableSchema)
    style: Any = MISSING
    usetex: bool = MISSING
    export: Any = None


@lru_cache(maxsize=1)
def register_schemas() -> None:
    """Register the schemas with Hydra. conf/config.yaml and conf/analysis.yaml name them."""
    store = ConfigStore.instance()
    store.store(name="study_schema", node=StudySchema)
    store.store(name="analysis_schema", node=AnalysisSchema)
    store.store(group="hydra/launcher", name="slurm_schema", node=SlurmSchema)
    store.store(group="hydra/launcher", name="ray_schema", node=RaySchema)
