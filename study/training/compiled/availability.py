"""Whether compiled code works on this machine."""

import os
from collections.abc import Callable

from study.errors.faults import is_fault


def reason_against(use: Callable[[], None]) -> str | None:
    """Use compiled code once; return why it does not work here, or None if it does.

    This compiles code that is not compiled yet. Numba keeps the result in a cache for other processes.

    Args:
        use: calls all that is to be compiled.

    Raises:
        OSError: a fault of the machine, such as a full disk, which says nothing of the compiled code.
    """
    try:
        use()
    except Exception as error:  # a compiler may fail in any way
        if is_fault(error):
            if isinstance(error, OSError) and error.filename is None:  # from a write to Numba's cache
                error.filename = os.environ.get("NUMBA_CACHE_DIR")
            raise
        return f"{type(error).__name__}: {error}"
    return None
