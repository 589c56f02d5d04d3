"""JAX's way to train many runs at once: `vmap` over runs inside one jitted scan over steps.

    python jax_vmap.py --data data.npz --runs 8,32,64 --device cuda

It prints JSON: seconds per run and epoch, training and scores, for each number of runs; null where memory was short.
The network, batch, optimizer and L1 penalty are those of the book, with λ and a seed for each run.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

SIZES, BATCH, LR = (784, 1000, 10), 32, 1e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
EPOCHS = 3  # the first one compiles


def main() -> None:
    """Time each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--runs", default="8,32,64")
    parser.add_argument("--hidden", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = options.device
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    data = np.load(options.data)
    found = {}
    for runs in map(int, options.runs.split(",")):
        try:
            found[runs] = seconds_per_run(data, runs, options.hidden)
        except Exception as error:  # of memory, which JAX reports in several ways
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            found[runs] = None
    print(json.dumps(found))


def seconds_per_run(data: np.lib.npyio.NpzFile, runs: int, hidden: int) -> float:
    """The seconds of an epoch, divided by the number of runs."""
    import jax
    import jax.numpy as jnp

    images, labels = (jnp.asarray(data[f"train_{kind}"]) for kind in ("images", "labels"))
    val_images, val_labels = (jnp.asarray(data[f"val_{kind}"]) for kind in ("images", "labels"))
    images, val_images = (x.reshape(len(x), -1).astype(jnp.float32) / 255 for x in (images, val_images))
    labels, val_labels = labels.astype(jnp.int32), val_labels.astype(jnp.int32)
    steps = len(images) // BATCH

    def initial(key):
        keys = jax.random.split(key, 4)
        sizes = (images.shape[1], hidden, 10)
        parameters = []
        for i in (0, 1):
            bound = sizes[i] ** -0.5
            shapes = ((sizes[i], sizes[i + 1]), (sizes[i + 1],))
            pairs = zip(keys[2 * i :], shapes, strict=False)
            parameters += [jax.random.uniform(k, shape, minval=-bound, maxval=bound) for k, shape in pairs]
        zeros = [jnp.zeros_like(w) for w in parameters]
        return parameters, zeros, zeros

    def logits_of(parameters, x):
        w1, b1, w2, b2 = parameters
        return jax.nn.relu(x @ w1 + b1) @ w2 + b2

    def losses_of(parameters, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(logits_of(parameters, x)), y[:, None], 1)[:, 0]

    def objective(parameters, lam, x, y):
        return losses_of(parameters, x, y).mean() + lam * sum(jnp.abs(w).sum() for w in parameters)

    def scores(parameters, x, y):
        whole = len(x) // 1000 * 1000 or len(x)
        size = min(1000, whole)
        parts = (x[:whole].reshape(-1, size, x.shape[1]), y[:whole].reshape(-1, size))
        return jax.lax.map(lambda part: losses_of(parameters, *part).sum(), parts).sum() / whole

    def epoch(state, key, lam, number):
        def step(carry, given):
            (parameters, mean, square), (t, rows) = carry, given
            loss, gradient = jax.value_and_grad(objective)(parameters, lam, images[rows], labels[rows])
            mean = [BETA1 * m + (1 - BETA1) * g for m, g in zip(mean, gradient, strict=True)]
            square = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(square, gradient, strict=True)]
            first, second = 1 - BETA1**t, 1 - BETA2**t
            moved = zip(parameters, mean, square, strict=True)
            parameters = [w - LR * (m / first) / (jnp.sqrt(v / second) + EPSILON) for w, m, v in moved]
            return (parameters, mean, square), loss

        order = jax.random.permutation(key, len(images))[: steps * BATCH].reshape(steps, BATCH)
        numbers = number * steps + jnp.arange(1, steps + 1, dtype=jnp.float32)
        state, losses = jax.lax.scan(step, state, (numbers, order))
        return state, losses.mean(), scores(state[0], images, labels), scores(state[0], val_images, val_labels)

    state = jax.vmap(initial)(jax.random.split(jax.random.key(0), runs))
    lam = jnp.logspace(-6, -3, runs)
    train = jax.jit(jax.vmap(epoch, in_axes=(0, 0, 0, None)), donate_argnums=0)
    seconds = 0.0
    for number in range(EPOCHS):
        began = time.perf_counter()
        state, *found = train(state, jax.random.split(jax.random.key(number), runs), lam, number)
        jax.block_until_ready(found)
        seconds = time.perf_counter() - began
    return seconds / runs


if __name__ == "__main__":
    main()
