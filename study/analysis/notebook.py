"""A study in a notebook: `study.load("outputs/mine")`."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis.comparison import Comparison, Options, compare
from study.analysis.drawing.draw import drawn
from study.analysis.drawing.specs import read_specs, with_options
from study.analysis.drawing.style import style_of
from study.analysis.sections import Section
from study.analysis.statistics.gaps import gap_table
from study.analysis.text.columns import SHORT
from study.analysis.text.html import to_html
from study.analysis.tidy import Tidy, tidy
from study.config.folders import CONF
from study.errors import ConfigError

TEST = "test_"  # begins the columns of test scores
MOST_ROWS = 40  # of the table that a notebook shows


def load(
    folder: str | Path,
    *,
    at: str | int = "last",
    baseline: str = "auto",
    phase: str = "fresh",
    allow: Sequence[str] = (),
    filter: Mapping[str, Any] | None = None,
    variants: Sequence[str] | Mapping[str, str] | None = None,
    config_dir: str | Path | None = None,
    test: bool = False,
) -> "LoadedStudy":
    """Read a study as `study analyze` does. Incomplete, failed and invalid runs are left out, and named.

    Args:
        folder: outputs/<name>.
        at: epoch of the tables: last, best, or a number.
        baseline: variant that the others are compared with.
        phase: of a tuned study: fresh, trials or all.
        allow: what may differ between runs.
        filter: a value or a list of values by column of runs.csv, such as `{"reg": ["l1", "none"]}`.
        variants: patterns of the variants in figures, or labels by pattern.
        config_dir: your folder of options, which may contain figure/ and style/.
        test: whether tables and figures have test scores. Each such load counts as a look at them in ledger.csv, as
            each study analyze does. Without it, nothing is written.

    Raises:
        StudyError: there is no such folder, no usable run in it, or the runs cannot be compared.
        ConfigError: an argument is not allowed.
    """
    if filter is not None and not isinstance(filter, Mapping):
        raise ConfigError(f'filter={filter!r}: must map columns to values. Example: filter={{"reg": ["l1", "none"]}}')
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(f"config_dir={config_dir}: there is no such folder. Name your folder of options")
    folders = [*([Path(config_dir)] if config_dir is not None else []), CONF]
    options = Options(
        name=Path(folder).name,
        at=at,
        baseline=baseline,
        phase=phase,
        allow=[allow] if isinstance(allow, str) else allow,
        filter=filter or {},
        variants=variants,
        folders=folders,
        live=not test,
    )
    return LoadedStudy(compare(Path(folder), options))


class LoadedStudy:
    """A study that was read from its folder. In a notebook it shows its name, its runs and its gap table.

    It does not change when runs are added: load the study again.
    """

    def __init__(self, comparison: Comparison):
        self._comparison = comparison
        self._tested = not comparison.options.live
        if self._tested:
            _ = self._sections  # counts the look

    @property
    def name(self) -> str:
        """The name of the study."""
        return self._comparison.everything.folder.resolve().name

    @property
    def runs(self) -> pd.DataFrame:
        """A row per run: its settings, and its metrics, gaps and norms at the scored epoch (columns of runs.csv)."""
        return self._without_test(self._tables.runs)

    @property
    def epochs(self) -> pd.DataFrame:
        """A row per run and epoch: metrics.csv, `accuracy_gap` (points) and `loss_gap` (nats, MSE)."""
        return self._tables.epochs

    @property
    def weights(self) -> pd.DataFrame:
        """A row per run, epoch and parameter: weights.csv."""
        return self._tables.weights

    @property
    def left_out(self) -> Sequence[str]:
        """A line for each run or file of the folder that is in no table."""
        return self._tables.left_out

    def gap_table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The gap table: a row per variant, with means over seeds, deviations and intervals; columns of gap_table.csv.

        Args:
            columns: some of the columns, after `variant`; None: all. Test scores require `load(..., test=True)`.

        Raises:
            ConfigError: there is no such column.
        """
        compared = self._comparison
        every = gap_table(compared.rows, compared.baselines)
        table = self._without_test(every)
        if columns is None:
            return table
        listed = [columns] if isinstance(columns, str) else list(columns)
        hidden = [column for column in listed if column in every.columns and column not in table.columns]
        if hidden:
            raise ConfigError(
                f"columns={hidden}: test scores are not shown. study.load(..., test=True) shows them and counts a look"
            )
        unknown = [column for column in listed if column not in table.columns]
        if unknown:
            raise ConfigError(f"columns={unknown}: there is no such column. Allowed: {', '.join(table.columns)}")
        return table[list(dict.fromkeys(["variant", *listed]))]

    def plot(self, name: str, style: str | Mapping[str, Any] = "plain", **options: Any) -> Figure:
        """Draw a figure, as `study analyze figures=[name]` does.

        Args:
            name: of a file of conf/figure/, or of figure/ in your config_dir.
            style: name of a file of conf/style/, or its content.
            **options: override those of the figure's file; `filter` chooses its runs.

        Raises:
            ConfigError: there is no such figure, style or option.
            StudyError: the study lacks the data for the figure.
        """
        folders = self._comparison.options.folders
        (spec,) = read_specs([str(name)], folders)
        spec = with_options(spec, options)
        view, selection = self._comparison.view(self._sections, style_of(style, folders))
        with plt.rc_context(view.style.rc(False)):
            return drawn(spec, view, "" if self._comparison.options.variants else selection)

    def __repr__(self) -> str:
        return f"<study {self.name}: {self._counts}>"

    def _repr_html_(self) -> str:
        """What Jupyter shows: the gap table as in gap_table.md."""
        section = next(section for section in self._sections if section.stem == "gap_table")
        text = section.text.chosen([SHORT])
        notes = section.notes_of(text)
        if len(text) > MOST_ROWS:
            notes = [f"{len(text) - MOST_ROWS} more rows in gap_table().", *notes]
        missing = f"<p>{len(self.left_out)} not shown: see left_out</p>" if self.left_out else ""
        title = f"<p><strong>{escape(self.name)}</strong>: {escape(self._counts)}</p>"
        return f"<div>{title}{missing}{to_html(text.head(MOST_ROWS), notes)}</div>"

    def _without_test(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table without test scores, unless the study was loaded with them."""
        return table if self._tested else table[[column for column in table if not column.startswith(TEST)]]

    @property
    def _counts(self) -> str:
        rows = self._comparison.rows
        counts = {"run": len(rows), "variant": rows["variant"].nunique()}
        return " of ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())

    @cached_property
    def _tables(self) -> Tidy:
        return tidy(self._comparison.study)

    @cached_property
    def _sections(self) -> list[Section]:
        return self._comparison.sections()
