"""MNIST-1D (Greydanus and Kobak 2020, arXiv:2011.14439), generated: 5,000 noisy signals of 40 numbers in 10 classes.

The construction is the published one, drawn by a random generator of this package: the signals are not those of the
authors' file, but of the same distribution.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from study.data.dataset import DataSet, RawImages, sha256

DRAW = 2011_14439  # seed of the signals, one for all runs
PER_CLASS, TRAIN = 500, 4_000
LENGTH, DILATED, PADDING = 40, 72, (36, 60)
SCALE, SHIFT, SHEAR = 0.4, 48, 0.75
CORRELATED, INDEPENDENT, SMOOTHING = 0.25, 0.02, 2.0
CONSTANTS = (DRAW, PER_CLASS, TRAIN, LENGTH, DILATED, PADDING, SCALE, SHIFT, SHEAR, CORRELATED, INDEPENDENT, SMOOTHING)
TEMPLATES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)


def mnist1d() -> DataSet:
    """4,000 training and 1,000 test signals."""
    return DataSet(
        name="mnist1d",
        image_shape=(LENGTH,),
        classes=len(TEMPLATES),
        train_count=TRAIN,
        pixel_max=1,
        test_is_official=False,
        # Of the construction: machines may differ in the last digits of the signals.
        checksums={"construction": sha256(repr((CONSTANTS, TEMPLATES.tolist())).encode())},
        read=_read,
    )


@lru_cache(maxsize=1)
def _generate() -> tuple[np.ndarray, np.ndarray]:
    """Signals float32 (5000, 40) of mean 0 and variance 1 over all of them, and labels int64 (5000,), shuffled."""
    generator = np.random.default_rng(DRAW)
    templates = TEMPLATES - TEMPLATES.mean(axis=1, keepdims=True)
    templates /= TEMPLATES.std(axis=1, keepdims=True)
    templates = (templates - templates[:, :1]) / 6
    labels = np.repeat(np.arange(len(TEMPLATES)), PER_CLASS)
    signals = np.stack([_signal(templates[label], generator) for label in labels])
    order = generator.permutation(len(labels))
    signals = ((signals - signals.mean()) / signals.std())[order]
    return signals.astype(np.float32), labels[order]


def _signal(template: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One signal (40,): the template padded, dilated, scaled, shifted, noisy and sheared."""
    padded = np.concatenate([template + 1e-8, np.zeros(generator.integers(PADDING[0], PADDING[1] + 1))])
    signal = _resampled(padded, DILATED) * (1 + SCALE * (generator.random() - 0.5))
    signal = np.roll(signal, generator.integers(SHIFT))
    noise = gaussian_filter1d(CORRELATED * generator.standard_normal(DILATED), SMOOTHING)
    signal = np.where(signal != 0, signal, noise) + INDEPENDENT * generator.standard_normal(DILATED)
    signal -= SHEAR * (generator.random() - 0.5) * np.linspace(-0.5, 0.5, DILATED)
    return _resampled(signal, LENGTH)


def _resampled(signal: np.ndarray, length: int) -> np.ndarray:
    """A signal at other points, equally spaced, by linear interpolation."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)


def _read(_root: Path) -> RawImages:
    signals, labels = (torch.from_numpy(array) for array in _generate())
    return RawImages(signals[:TRAIN], labels[:TRAIN], signals[TRAIN:], labels[TRAIN:])
