"""Generated examples whose labels depend on few features, which are known: the teacher's support.

The features are independent standard normal numbers. A teacher, linear or a network with one hidden layer, reads the
features of its support alone. Whether a trained network reads the same features can therefore be scored.
"""

import itertools
import math
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from study.data.dataset import DataSet, RawImages, sha256
from study.errors import ConfigError

TEACHERS = ("linear", "two_layer")
UNITS = 5  # hidden units of the teacher `two_layer`
WEIGHTS = (0.5, 1.5)  # magnitudes of the teacher's weights: away from 0, so that each feature of the support matters
REFERENCE = 10_000  # examples from which mean and variance of the teacher's outputs are computed
DRAW = 20_240  # first number of the seed of every random stream
CONSTANTS = (UNITS, WEIGHTS, REFERENCE, DRAW)


def sparse_teacher(
    features: int = 100,
    support: int = 10,
    examples: int = 1200,
    test_examples: int = 1000,
    classes: int = 2,
    noise: float = 0.1,
    teacher: str = "linear",
    draw: int = 0,
) -> DataSet:
    """The data set of a sparse teacher; `DataSet.support` has the features that it reads.

    Args:
        features: numbers in an example.
        support: how many of them the teacher reads.
        examples: of the training set, validation included. A larger set contains the smaller one.
        test_examples: of the test set.
        classes: number of classes. The label is the largest of as many outputs; for two classes the sign of one.
        noise: standard deviation of the noise on an output, whose own standard deviation is 1.
        teacher: `linear`, or `two_layer`: one hidden layer of ReLUs.
        draw: draws the teacher and the examples.

    Raises:
        ConfigError: a number is out of range, or a class has too few examples.
    """
    lowest = {"features": 1, "support": 1, "examples": 12, "test_examples": 1, "classes": 2, "draw": 0}
    given = {"features": features, "support": support, "examples": examples, "test_examples": test_examples}
    for key, value in {**given, "classes": classes, "draw": draw}.items():
        if value < lowest[key]:
            raise ConfigError(f"data.{key}={value}: must be a whole number ≥ {lowest[key]}")
    if support > features:
        raise ConfigError(f"data.support={support}: must be at most data.features={features}")
    if not (math.isfinite(noise) and noise >= 0):
        raise ConfigError(f"data.noise={noise}: must be a finite number ≥ 0")
    if teacher not in TEACHERS:
        raise ConfigError(f"data.teacher={teacher}: allowed: {', '.join(TEACHERS)}")
    return _dataset(features, support, examples, test_examples, classes, noise, teacher, draw)


@lru_cache(maxsize=4)
def _dataset(
    features: int,
    support: int,
    examples: int,
    test_examples: int,
    classes: int,
    noise: float,
    teacher: str,
    draw: int,
) -> DataSet:
    of_teacher, *streams = (np.random.default_rng([DRAW, draw, part]) for part in range(5))
    relevant = np.sort(of_teacher.choice(features, support, replace=False))
    layers = _layers(teacher, support, classes, of_teacher)
    reference = _outputs(layers, of_teacher.standard_normal((REFERENCE, support)))
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    parts = []
    for count, of_x, of_noise in ((examples, streams[0], streams[1]), (test_examples, streams[2], streams[3])):
        x = of_x.standard_normal((count, features))
        outputs = (_outputs(layers, x[:, relevant]) - mean) / deviation
        labels = _labels(outputs + noise * of_noise.standard_normal(outputs.shape))
        parts += [torch.from_numpy(x.astype(np.float32)), torch.from_numpy(labels)]
    least = int(torch.bincount(parts[1], minlength=classes).min())
    if least < 2:
        raise ConfigError(
            f"data.examples={examples}: a class has {least} training examples, and requires at least 2. Give more"
            f" examples, fewer data.classes than {classes}, or another data.draw"
        )
    return DataSet(
        name="sparse_teacher",
        image_shape=(features,),
        classes=classes,
        train_count=examples,
        pixel_max=1,
        test_is_official=False,
        # Of the construction: machines may differ in the last digits. Options are part of a run's identity anyway.
        checksums={"construction": sha256(repr(CONSTANTS).encode())},
        read=partial(_kept, RawImages(*parts)),
        support=tuple(relevant.tolist()),
    )


def _layers(teacher: str, support: int, classes: int, generator: np.random.Generator) -> list[np.ndarray]:
    """The teacher's weight matrices, (outputs, inputs) each. For two classes it has one output."""
    widths = [support, *([UNITS] if teacher == "two_layer" else []), 1 if classes == 2 else classes]
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        signs = generator.choice([-1.0, 1.0], (outputs, inputs))
        layers.append(signs * generator.uniform(*WEIGHTS, (outputs, inputs)) / math.sqrt(inputs))
    return layers


def _outputs(layers: list[np.ndarray], relevant: np.ndarray) -> np.ndarray:
    """The teacher's outputs (n, outputs) for the features of its support (n, support)."""
    units = relevant
    for layer in layers[:-1]:
        units = np.maximum(units @ layer.T, 0)
    return units @ layers[-1].T


def _labels(outputs: np.ndarray) -> np.ndarray:
    """Classes int64 (n,) of noisy outputs (n, outputs)."""
    return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(np.int64)


def _kept(raw: RawImages, _root: Path) -> RawImages:
    return raw
