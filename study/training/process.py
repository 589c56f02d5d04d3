"""Set device, threads and kernels of a process so that it computes the same bytes every time."""

import os
from functools import lru_cache

import scipy.linalg  # noqa: F401  loads the BLAS, so that its threads can be limited
import torch
from threadpoolctl import ThreadpoolController

from study.config.build import choose_device


def prepare_process(threads: int, device: str) -> torch.device:
    """Fix the number of threads, flush denormals, and use deterministic kernels where torch has them.

    Args:
        threads: number of threads of torch and of BLAS.
        device: as in the config: `auto` or a name.

    Returns:
        The torch device.

    Raises:
        RuntimeError: torch does not know the name, or this machine has no such device.
    """
    chosen = choose_device(device)
    torch.set_num_threads(threads)
    _thread_pools().limit(limits=threads, user_api="blas")  # scipy's BLAS, which compiled code uses
    torch.set_flush_denormal(True)
    # One CPU thread has only one order of sums. The call is left out then, because it imports a compiler.
    if chosen.type != "cpu" or threads > 1:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS is not deterministic
        torch.use_deterministic_algorithms(True, warn_only=True)
    return chosen


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()  # cached, because it searches all loaded libraries
