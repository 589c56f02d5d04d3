"""Small tables that come with scikit-learn."""

from functools import lru_cache
from typing import Any

import numpy as np

from study.data.arrays import of_arrays
from study.data.dataset import DataSet
from study.tasks import CLASSIFICATION, REGRESSION


def breast_cancer() -> DataSet:
    """Breast cancer Wisconsin (Street, Wolberg and Mangasarian 1993): 569 tumours, benign or malignant."""
    return _bundled("breast_cancer")


def wine() -> DataSet:
    """Wine recognition (Aeberhard and Forina 1991): 178 wines of three cultivars."""
    return _bundled("wine")


def diabetes() -> DataSet:
    """Diabetes (Efron, Hastie, Johnstone and Tibshirani 2004): the progression of 442 patients after one year.

    The features are those measured. scikit-learn's default scales them by all examples, those of the test set included.
    """
    return _bundled("diabetes", REGRESSION, scaled=False)


@lru_cache(maxsize=4)
def _bundled(name: str, task: str = CLASSIFICATION, **options: Any) -> DataSet:
    from sklearn import datasets  # takes a second to import

    found = getattr(datasets, f"load_{name}")(**options)
    content = {"x": found.data.astype(np.float32), "y": found.target}
    return of_arrays(name, f"data={name}", content, task=task)
