"""Check the arguments of any group of a config against the signature of its target."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from study.config.build import locate
from study.config.options import checked_arguments

# Points of a sweep share most of their content, and a check takes milliseconds. So each part is checked once and kept,
# by its content as JSON.
KEPT = 10_000


def checked_group(group: str, given: Mapping[str, Any], supplied: int | tuple[str, ...]) -> dict[str, Any]:
    """A group with its arguments checked, converted to their types, and complete; see `checked_arguments`."""
    rest = {key: value for key, value in given.items() if key not in ("option", "_target_")}
    return {
        "option": given["option"],
        "_target_": given["_target_"],
        **typed(group, str(given["_target_"]), json.dumps(rest), supplied),
    }


@lru_cache(maxsize=KEPT)
def typed(group: str, path: str, given: str, supplied: int | tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a target, given as JSON; see `checked_arguments`. The result must not be changed."""
    return checked_arguments(group, locate(group, path), json.loads(given), supplied, path)
