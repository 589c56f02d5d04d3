"""regstudy: comparative studies of regularization in neural networks.

The packages, in the order in which a run passes through them from YAML to figure:

`cli` reads the command line. `config` turns it into checked runs. `sweep` trains the runs that are missing, with the
options in `data`, `models`, `optimizers` and `regularizers`. `training` trains one run, `measures` computes its scores
and statistics, `records` writes its folder, and `analysis` makes tables and figures from many runs.

In a notebook: `study.load("outputs/mine")`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.analysis.notebook import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `load` when it is used: importing the package stays fast, and imports no library."""
    if name == "load":
        from study.analysis.notebook import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
