"""Everything after the CSVs: collect → gaps → tables and figures. Reads files only, never a model.

`load("outputs/mine")` is for notebooks.
"""

from study.analysis.tidy import Tidy, load, load_histograms

__all__ = ["Tidy", "load", "load_histograms"]
