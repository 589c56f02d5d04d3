"""Set device, threads and kernels of a process so that it computes the same bytes every time; measure its memory."""

import os
from functools import lru_cache

import scipy.linalg  # noqa: F401  loads the BLAS, so that its threads can be limited
import torch
from threadpoolctl import ThreadpoolController

from study.config.devices import CUDA

OUTSIDE = 2**30  # bytes of a card that a process takes outside torch's allocator: CUDA's context, cuBLAS, cuDNN
SPARE = 0.1  # fraction of a card's memory that stays free, because the next run may need more than the last


def prepare_process(threads: int, device: str) -> torch.device:
    """Fix the number of threads, flush denormals, and use deterministic kernels where torch has them.

    Args:
        threads: number of threads of torch and of BLAS.
        device: one of `devices.devices_here`.

    Returns:
        The torch device.

    Raises:
        RuntimeError: this machine has no such device.
    """
    chosen = torch.device(device)
    if chosen.type == CUDA:
        torch.cuda.set_device(chosen)  # torch then also draws, and saves its generator, on this card
    torch.set_num_threads(threads)
    _thread_pools().limit(limits=threads, user_api="blas")  # scipy's BLAS, which compiled code uses
    torch.set_flush_denormal(True)
    # One CPU thread has only one order of sums. The call is left out then, because it imports a compiler.
    if chosen.type != "cpu" or threads > 1:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS is not deterministic
        torch.use_deterministic_algorithms(True, warn_only=True)
        # A pass over memory that only finds mistakes. torch has no type for it.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return chosen


def room_beside(device: torch.device) -> int | None:
    """How many more processes that need as much memory as this one fit on its card; None if it is no card."""
    if device.type != CUDA:
        return None
    free, total = torch.cuda.mem_get_info(device)
    needed = torch.cuda.max_memory_reserved(device) + OUTSIDE
    return max(0, int((free - SPARE * total) // needed))


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()  # cached, because it searches all loaded libraries
