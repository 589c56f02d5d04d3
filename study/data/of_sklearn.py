"""Small tables that come with scikit-learn."""

from functools import lru_cache

import numpy as np

from study.data.arrays import of_arrays
from study.data.dataset import DataSet


def breast_cancer() -> DataSet:
    """Breast cancer Wisconsin (Street, Wolberg and Mangasarian 1993): 569 tumours, benign or malignant."""
    return _bundled("breast_cancer")


def wine() -> DataSet:
    """Wine recognition (Aeberhard and Forina 1991): 178 wines of three cultivars."""
    return _bundled("wine")


@lru_cache(maxsize=4)
def _bundled(name: str) -> DataSet:
    from sklearn import datasets  # takes a second to import

    found = getattr(datasets, f"load_{name}")()
    return of_arrays(name, f"data={name}", {"x": found.data.astype(np.float32), "y": found.target.astype(np.int64)})
