"""Make the small Fashion-MNIST of the package: the first 500 training and 100 test images of each class.

python scripts/make_mini.py        # writes study/data/fashion_mnist_mini.npz and prints the checksums
"""

import os
from pathlib import Path

import numpy as np

from study.data.dataset import sha256
from study.data.fashion_mnist import MINI_FILE, full


def main() -> None:
    """Write the file, and print the checksums for study/data/fashion_mnist.py."""
    raw = full().read(Path(os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")).expanduser())
    arrays = {}
    for split, each in (("train", 500), ("test", 100)):
        labels = getattr(raw, f"{split}_labels").numpy()
        rows = np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(10)]))
        arrays[f"{split}_images"] = getattr(raw, f"{split}_images").numpy()[rows]
        arrays[f"{split}_labels"] = labels[rows]
    np.savez_compressed(MINI_FILE, **arrays)
    for key, array in arrays.items():
        print(key, array.shape, sha256(array))


if __name__ == "__main__":
    main()
