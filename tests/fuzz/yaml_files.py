"""YAML files that are shipped, changed: what a user might make of an option or a figure."""

from collections.abc import Iterable
from typing import Any


def after(changes: Iterable[tuple[str, Any]], content: Any) -> Any:
    """The content of a file after changes.

    Args:
        changes: each `root` (other content), `target` (another `_target_`), `set` (a key and its value), `drop` (the
            number of a key) or `value` (the number of a key and its value), and what it takes.
        content: of the file; a mapping is changed in place.
    """
    for kind, what in changes:
        if not isinstance(content, dict) or kind == "root":
            content = what if kind == "root" else content
        elif kind == "target":
            content["_target_"] = what
        elif kind == "set":
            content[what[0]] = what[1]
        elif kind == "drop" and content:
            del content[list(content)[what % len(content)]]
        elif kind == "value" and content:
            content[list(content)[what[0] % len(content)]] = what[1]
    return content
