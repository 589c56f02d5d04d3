"""The comparison of a study whose runs have not all ended: at an epoch that the compared runs have."""

from study.analysis.reading.study import Study
from study.errors import ConfigError, StudyError

LAST = "last"


def at_common_epoch(study: Study, at: str | int) -> tuple[Study, str | int, list[str]]:
    """Choose the epoch at which unfinished runs are compared with the others.

    Values of different epochs are no fair comparison. `last` therefore means the last epoch that every run has. For a
    number, unfinished runs with fewer epochs are left out.

    Args:
        study: the runs; those that have not ended are `partial`.
        at: `last` or the number of an epoch.

    Returns:
        The runs to compare, the epoch, and notes for every table. If no run is partial, nothing changes.

    Raises:
        ConfigError: `at` is neither.
        StudyError: no run has the epoch.
    """
    runs = study.runs
    if "partial" not in runs or not runs["partial"].any():
        return study, at, []
    unfinished = runs[runs["partial"]]
    if at == LAST:
        at = int(unfinished["epochs_trained"].min())
    if not isinstance(at, int) or isinstance(at, bool):
        raise ConfigError(f"at={at}: with partial=true, allowed: last, or the number of an epoch")
    short = runs["partial"] & (runs["epochs_trained"] < at)
    if short.all():
        raise StudyError(f"at={at}: no run has this epoch yet. The furthest has {runs['epochs_trained'].max()}")
    kept = study.of_runs(~short)
    note = (
        f"PARTIAL: {len(unfinished)} of {len(runs)} runs have not ended. All values are those of epoch {at} of"
        f" {'/'.join(map(str, sorted(runs['epochs'].unique())))}, not results."
    )
    if short.any():
        note += f" {int(short.sum())} runs that do not have this epoch yet are left out."
    return kept, at, [note]
