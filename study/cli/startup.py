"""What a process of `study` sets up before it does anything: where its configs and caches are."""

import hashlib
import os
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
# A wheel carries the configs inside the package, a checkout beside it.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
COMPILED = ("training/compiled/*.py", "measures/sorting.py")  # modules of compiled code


def keep_caches_together() -> None:
    """Libraries keep their caches in the data folder: nothing is written elsewhere but in outputs/."""
    root = Path(os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")).expanduser()
    folders = {
        "MPLCONFIGDIR": "matplotlib",
        "TORCH_HOME": "torch",
        "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
        "NUMBA_CACHE_DIR": f"numba/{compiled_version()}",
    }
    for variable, folder in folders.items():
        os.environ.setdefault(variable, str(root / folder))


def compiled_version() -> str:
    """A hash of the source of all compiled code: Numba looks at the time and size of one file alone."""
    sources = [file.read_bytes() for modules in COMPILED for file in sorted(PACKAGE.glob(modules))]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:12]
