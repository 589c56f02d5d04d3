"""What makes a process compute the same bytes every time: its device, its threads, its kernels."""

import os
from functools import lru_cache

import scipy.linalg  # noqa: F401  loads the BLAS whose threads are pinned
import torch
from threadpoolctl import ThreadpoolController

from study.config.build import choose_device


def prepare_process(threads: int, device: str) -> torch.device:
    """Pin threads, flush denormals and ask for deterministic kernels.

    Args:
        threads: of torch and of the BLAS.
        device: as in the config: `auto` or a name.

    Returns:
        The device.

    Raises:
        RuntimeError: torch does not know the name, or this machine has no such device.
    """
    chosen = choose_device(device)
    torch.set_num_threads(threads)
    _thread_pools().limit(limits=threads, user_api="blas")  # scipy's BLAS, which compiled code uses
    torch.set_flush_denormal(True)
    # With one CPU thread there is one order of sums anyway, and asking imports a compiler.
    if chosen.type != "cpu" or threads > 1:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
        torch.use_deterministic_algorithms(True, warn_only=True)
    return chosen


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()  # searches all loaded libraries, which takes long
