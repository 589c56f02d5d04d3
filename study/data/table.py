"""A data set from a table in a CSV file of the user's."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from study.data.arrays import checked_y, dataset_of, same_length
from study.data.checks import checked_features, checked_file, checked_task
from study.data.dataset import DataSet
from study.data.splits import IMPUTE, drawn_test
from study.errors import ConfigError
from study.tasks import CLASSIFICATION

MOST_CATEGORIES = 100  # of one column; more of them come from a column of numbers with a slip, or of names


def csv(
    path: str,
    target: str,
    columns: list[str] | None = None,
    missing: str = "refuse",
    test_path: str | None = None,
    separator: str = ",",
    task: str = CLASSIFICATION,
) -> DataSet:
    """The data set of a CSV file with a header: a row is an example.

    Columns of numbers are features as they are. A column of text or of true and false becomes a feature for each of its
    values, 1 where the row has it (one-hot), in sorted order.

    Args:
        path: the file.
        target: column of the labels: whole numbers from 0 on, or text. For regression, any numbers.
        columns: columns of the features; by default all others.
        missing: values that are missing: `refuse`, or `mean`, `median` of the column in the training split. A missing
            text belongs to no category.
        test_path: file of the test set. Without it a sixth is drawn, the same one in every run.
        separator: between columns: a character, `\\t` or `\\s+`.
        task: `classification` or `regression`.

    Raises:
        ConfigError: a file cannot be read, or its content is not allowed.
    """
    if missing not in ("refuse", *IMPUTE):
        raise ConfigError(f"data.missing={missing}: allowed: refuse, {', '.join(IMPUTE)}")
    separator = separator.replace("\\t", "\t")
    if separator != "\\s+" and (len(separator) != 1 or separator in '"\r\n'):
        raise ConfigError(
            f"data.separator={separator!r}: must be one character, \\t (a tab) or \\s+ (any space)."
            " Example: \"data.separator=';'\""
        )
    files = [("path", path), *([("test_path", test_path)] if test_path else [])]
    changed = [checked_file(key, name) for key, name in files]
    chosen = tuple(columns) if columns is not None else None
    return _dataset(tuple(files), target, chosen, missing, separator, tuple(changed), checked_task(task))


@lru_cache(maxsize=4)
def _dataset(
    files: tuple[tuple[str, str], ...],
    target: str,
    columns: tuple[str, ...] | None,
    missing: str,
    separator: str,
    _changed: tuple[tuple[int, int], ...],
    task: str,
) -> DataSet:
    tables = {key: _read(key, name, separator) for key, name in files}
    wheres = {key: f"data.{key}={name}" for key, name in files}
    chosen = _features(wheres["path"], tables["path"], target, columns)
    for key, table in tables.items():
        lacking = [column for column in (target, *chosen) if column not in table]
        if lacking:
            raise ConfigError(f"{wheres[key]} has no column {lacking[0]}. Its columns: {_listed(list(table))}")
        if table[target].isna().any():
            raise ConfigError(f"{wheres[key]}: {int(table[target].isna().sum())} rows have no {target}. Remove them")
    whole = pd.concat(tables.values(), ignore_index=True)
    x = _numbers(wheres["path"], whole[chosen], missing)
    count = len(tables["path"])
    y, classes = checked_y(f"{wheres['path']}: {target}", tables["path"][target].to_numpy(), task)
    same_length(wheres["path"], "the table", x[:count], target, y)
    if "test_path" in tables:
        y_test, _ = checked_y(f"{wheres['test_path']}: {target}", tables["test_path"][target].to_numpy(), task, classes)
        parts = (x[:count], y, x[count:], y_test)
    else:
        test, train = drawn_test(y)
        parts = (x[train], y[train], x[test], y[test])
    name = Path(files[0][1]).stem
    impute = None if missing == "refuse" else missing
    places = ("path", "test_path")
    return dataset_of(name, wheres["path"], parts, classes, "test_path" in tables, places, impute, task)


def _read(key: str, name: str, separator: str) -> pd.DataFrame:
    file = Path(name).expanduser()
    try:
        table = pd.read_csv(file, sep=separator)
        header = pd.read_csv(file, sep=separator, header=None, nrows=1, dtype=str).iloc[0].tolist()
    except UnicodeDecodeError:
        raise ConfigError(f"data.{key}={name} is not UTF-8 text. Save it as CSV in UTF-8") from None
    except (ValueError, OSError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"data.{key}={name}: not a CSV file with a header ({reason})") from None
    twice = [column for column in header if header.count(column) > 1]
    if twice:  # pandas would rename one
        raise ConfigError(f"data.{key}={name}: two columns have the name {twice[0]}. Rename one")
    if not len(table):
        raise ConfigError(f"data.{key}={name} has no rows below its header")
    return table


def _features(where: str, table: pd.DataFrame, target: str, columns: Sequence[str] | None) -> list[str]:
    """Names of the columns of the features."""
    if target not in table:
        raise ConfigError(f"data.target={target}: {where} has no such column. Its columns: {_listed(list(table))}")
    chosen = [column for column in table if column != target] if columns is None else list(columns)
    twice = [column for column in chosen if chosen.count(column) > 1]
    if twice:
        raise ConfigError(f"data.columns={chosen}: {twice[0]} is given twice. Leave one out")
    if target in chosen:
        raise ConfigError(f"data.columns={list(chosen)}: the target {target} cannot be a feature. Leave it out")
    if not chosen:
        raise ConfigError(f"{where} has no column besides {target}. At least one feature is required")
    return chosen


def _numbers(where: str, table: pd.DataFrame, missing: str) -> np.ndarray:
    """Features float32 (n, features); NaN for missing numbers where these are imputed."""
    lacking = [column for column in table if table[column].isna().any()]
    if lacking and missing == "refuse":
        rows = int(table[lacking].isna().any(axis=1).sum())
        raise ConfigError(
            f"{where}: values are missing in {rows} rows, in {_listed(lacking)}. Allowed: data.missing=mean,"
            " data.missing=median, or a file without gaps"
        )
    features = []
    for column in table:
        values = table[column]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            features.append(values.to_numpy(np.float64)[:, None])
            continue
        text = values.astype(str).where(values.notna())
        categories = sorted(text.dropna().unique())
        if len(categories) > MOST_CATEGORIES:
            raise ConfigError(
                f"{where}: the column {column} has {len(categories)} different texts, such as {categories[0]!r}. At"
                f" most {MOST_CATEGORIES} are allowed. Leave it out of data.columns, or make it numbers"
            )
        features.append(np.stack([(text == category).to_numpy(np.float64) for category in categories], axis=1))
    return checked_features(where, np.concatenate(features, axis=1), gaps=missing != "refuse")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names[:12])) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
