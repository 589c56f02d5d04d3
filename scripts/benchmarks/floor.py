"""Measure a lower bound: the time of the arithmetic of the textbook's run without anything between its parts.

    python floor.py [--hidden 1000 --batch 32]

The parts are the matrix products of a step (both layers, forward and backward) and of scoring, the gather of a batch,
and a fused Adam. Each is timed alone in torch with data in cache, in one thread on every core at the same time, and
summed over an epoch. For each product, the faster of torch's BLAS (MKL) and NumPy's (OpenBLAS) counts; for scoring, the
best of three batch sizes. Prints seconds per run and epoch with all cores busy, by part, as JSON.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

SECONDS = 1.0  # time for which each part is repeated
PATIENCE = 120  # seconds after which a core stops waiting for another
TRAIN, VAL, INPUTS, CLASSES = 60_000, 10_000, 784, 10


def _seconds(call: Callable[[], object], barrier: Barrier) -> float:
    """Return the median time of a call, after a warm-up, while all other cores do the same."""
    for _ in range(3):
        call()
    barrier.wait()
    taken, began = [], time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _parts(core: int, hidden: int, batch: int, barrier: Barrier, results: Queue) -> None:
    os.sched_setaffinity(0, {core})
    import numpy as np
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator) / 10

    def product(a: torch.Tensor, b: torch.Tensor) -> float:
        """Return the seconds of a @ b in the faster library."""
        out = torch.empty(a.shape[0], b.shape[1])
        arrays, array_out = (a.numpy(), b.numpy()), np.empty(tuple(out.shape), np.float32)
        return min(
            _seconds(lambda: torch.mm(a, b, out=out), barrier),
            _seconds(lambda: np.dot(*arrays, array_out), barrier),
        )

    w1, w2 = random(hidden, INPUTS), random(CLASSES, hidden)
    x, h, error1, error2 = random(batch, INPUTS), random(batch, hidden), random(batch, hidden), random(batch, CLASSES)
    steps = TRAIN / batch
    found = {
        "first layer forward": steps * product(x, w1.T),
        "first layer weight gradient": steps * product(error1.T, x),
        "second layer forward": steps * product(h, w2.T),
        "second layer backward": steps * (product(error2.T, h) + product(error2, w2)),
    }
    sizes = (250, 500, 1000)
    found["scoring"] = (TRAIN + VAL) * min(
        (product(random(n, INPUTS), w1.T) + product(random(n, hidden), w2.T)) / n for n in sizes
    )
    images, rows, out = random(TRAIN, INPUTS), torch.randperm(TRAIN, generator=generator), torch.empty(batch, INPUTS)
    starts = iter(range(10**9))

    def gather() -> None:
        start = next(starts) * batch % (TRAIN - batch)
        torch.index_select(images, 0, rows[start : start + batch], out=out)

    found["gather"] = steps * _seconds(gather, barrier)
    shapes = ((hidden, INPUTS), (hidden,), (CLASSES, hidden), (CLASSES,))
    parameters, gradients, moments1, moments2 = ([random(*shape) for shape in shapes] for _ in range(4))
    counts = [torch.tensor(1000.0) for _ in shapes]
    options = {"lr": 1e-9, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}

    def adam() -> None:
        torch._fused_adam_(
            *(parameters, gradients, moments1, moments2, [], counts), amsgrad=False, maximize=False, **options
        )

    found["Adam"] = steps * _seconds(adam, barrier)
    results.put(found)


def main() -> None:
    """Measure and print the lower bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(cores), timeout=PATIENCE), context.Queue()
    processes = [
        context.Process(target=_parts, args=(core, options.hidden, options.batch, barrier, results)) for core in cores
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("the lower bound could not be measured")
    found = [results.get() for _ in processes]
    parts = {part: statistics.mean(one[part] for one in found) / len(cores) for part in found[0]}
    print(json.dumps({"seconds": sum(parts.values()), "parts": parts}))


if __name__ == "__main__":
    main()
