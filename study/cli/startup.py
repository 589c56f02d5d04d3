"""Paths of the user's code and caches, which a process of `study` sets up first."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from study.config.folders import PACKAGE

COMPILED = "training/compiled/*.py"  # modules that Numba compiles


def keep_caches_together() -> None:
    """Make libraries keep their caches in the data folder, so that study writes only there and to outputs/."""
    root = Path(os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")).expanduser()
    folders = {
        "MPLCONFIGDIR": "matplotlib",
        "TORCH_HOME": "torch",
        "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
        "NUMBA_CACHE_DIR": f"numba/{compiled_version()}",
    }
    for variable, folder in folders.items():
        os.environ.setdefault(variable, str(root / folder))


def find_own_code(folders: Sequence[Path]) -> None:
    """Let Python find modules in the user's folders of options, here and in processes that this one starts.

    The folders come first on Python's path, as with PYTHONPATH.
    """
    for folder in reversed([str(folder.absolute()) for folder in folders if folder.is_dir()]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
            inherited = os.environ.get("PYTHONPATH")
            os.environ["PYTHONPATH"] = folder if not inherited else f"{folder}{os.pathsep}{inherited}"


def compiled_version() -> str:
    """Return a hash of the source of all compiled code.

    It names the cache folder: Numba itself checks only the time and size of the one file that has the function.
    """
    sources = [file.read_bytes() for file in sorted(PACKAGE.glob(COMPILED))]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:12]
