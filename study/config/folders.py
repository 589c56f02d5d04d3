"""Where the package and its YAML files are."""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent
# A wheel has the configs inside the package; a checkout has them beside it.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())
