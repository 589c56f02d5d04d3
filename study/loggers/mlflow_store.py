"""MLflow: one experiment per study, one MLflow run per run.

The store is that of MLFLOW_TRACKING_URI, or else a SQLite file, outputs/<name>/loggers/mlflow.db.
"""

import logging
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from study.loggers.logged import LoggedRun, Row, epoch_of, numbers

ADDRESS = "MLFLOW_TRACKING_URI"
ID = "regstudy.run_id"  # the tag that tells which MLflow run is which run
STATE = "regstudy.state"
STATUSES = {"complete": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}  # of others: KILLED
MOST_METRICS, MOST_PARAMETERS = 1000, 100  # of one request
LONGEST = 6000  # characters of a parameter
WAIT = 60  # seconds for another process that writes to the SQLite file
# An unreachable server should cost seconds per epoch, not minutes. Nothing is sent to MLflow's makers.
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def start(run: LoggedRun, rows: Sequence[Row]) -> "StoredRun":
    """Find the MLflow run of a run, or create it, and add the epochs that it lacks."""
    client = connect(run.folder)
    experiment = _experiment(client, run)
    found = client.search_runs([experiment], filter_string=f"tags.`{ID}` = '{run.run_id}'")
    if found:
        key, scored = found[0].info.run_id, set(found[0].data.metrics)
        known = {metric.step for metric in client.get_metric_history(key, "val_loss")}
        client.update_run(key, status="RUNNING")
    else:
        tags = {ID: run.run_id, "regstudy.variant": run.variant, "regstudy.folder": run.name}
        key, scored, known = client.create_run(experiment, run_name=run.name, tags=tags).info.run_id, set(), set()
        from mlflow.entities import Param

        parameters = [Param(name, str(value)[:LONGEST]) for name, value in run.parameters().items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            client.log_batch(key, params=parameters[first : first + MOST_PARAMETERS])
    stored = StoredRun(client, key, known, scored)
    stored.add(rows)
    return stored


def connect(folder: Path) -> Any:
    """Return a client of the store; the SQLite file is created if it is missing.

    Args:
        folder: outputs/<name>/loggers.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for library in ("mlflow", "alembic"):  # they print each step in which they create the file
        logging.getLogger(library).setLevel(logging.WARNING)
    if os.environ.get(ADDRESS):
        return MlflowClient(os.environ[ADDRESS])
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".mlflow.lock", timeout=WAIT):  # one process creates the tables
        return MlflowClient(f"sqlite:///{folder / 'mlflow.db'}?timeout={WAIT}")


def _experiment(client: Any, run: LoggedRun) -> str:
    """The id of the study's experiment, which is created if it is missing."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(run.study)
    if found is None:
        place = None if os.environ.get(ADDRESS) else (run.folder / "mlflow_artifacts").as_uri()
        try:
            return client.create_experiment(run.study, artifact_location=place)
        except MlflowException:  # another process has just created it
            found = client.get_experiment_by_name(run.study)
            if found is None:
                raise
    return found.experiment_id


class StoredRun:
    """One MLflow run while it gets epochs."""

    def __init__(self, client: Any, key: str, known: Collection[int], scored: Collection[str]):
        """Prepare the record.

        Args:
            client: of the store.
            key: MLflow's id of the run.
            known: the epochs that it has. They are not added again, because MLflow would keep both values.
            scored: the metrics that it has, for the same reason.
        """
        self.client, self.key, self.known, self.scored = client, key, known, scored
        self.last = 0

    def epoch(self, row: Row) -> None:
        """Add an epoch."""
        self.add([row])

    def add(self, rows: Sequence[Row]) -> None:
        """Add epochs, in as few requests as MLflow allows."""
        new = [row for row in rows if epoch_of(row) not in self.known]
        self._log([(name, value, epoch_of(row)) for row in new for name, value in numbers(row).items()])
        self.last = max([self.last, *map(epoch_of, rows)])

    def end(self, state: str, scores: Mapping[str, float]) -> None:
        """Add the final scores and the state, and end the MLflow run."""
        self._log([(name, value, self.last) for name, value in scores.items() if name not in self.scored])
        self.client.set_tag(self.key, STATE, state)
        self.client.set_terminated(self.key, status=STATUSES.get(state, "KILLED"))

    def _log(self, values: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        for first in range(0, len(values), MOST_METRICS):
            metrics = [Metric(name, value, now, step) for name, value, step in values[first : first + MOST_METRICS]]
            self.client.log_batch(self.key, metrics=metrics)
