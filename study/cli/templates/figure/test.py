"""The figure NAME. Run it: python -m pytest test_NAME.py"""

import pandas as pd
import pytest
from NAME import NAME

from study.analysis.drawing.looks import looks
from study.analysis.drawing.style import style_of
from study.analysis.drawing.view import View


def test_it_draws_a_dot_for_each_complete_run():
    rows = pd.DataFrame(
        {
            "variant": ["none", "none", "l1-lam0.1", "l1-lam0.1"],
            "reg": ["none", "none", "l1", "l1"],
            "lam": [0.0, 0.0, 0.1, 0.1],
            "model_regularizers": "",
            "state": ["complete", "complete", "complete", "diverged"],
            "val_accuracy": [0.88, 0.9, 0.91, 0.1],
        }
    )
    view = View(study=None, rows=rows, looks=looks(rows), style=style_of("plain"))  # this figure reads rows alone
    figure = NAME(view)
    (axis,) = figure.axes
    drawn = {line.get_ydata()[0]: sorted(line.get_xdata()) for line in axis.lines}
    assert drawn == {0: pytest.approx([88, 90]), 1: pytest.approx([91])}
    assert axis.get_xlabel() == "Validation accuracy (%)"
