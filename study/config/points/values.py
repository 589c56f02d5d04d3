"""Set plain values in the resolved content of a config, without OmegaConf.

OmegaConf takes milliseconds to copy a config, set a value and resolve it. Thousands of points of a sweep differ in
nothing but numbers such as `lam` and `seed`. Their content is that of the first such point with other numbers in it,
if no other value of the config depends on these keys.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from study.errors import USER_ERRORS

# Interpolations that depend on nothing but the names in them, and on the environment.
SIMPLE = re.compile(r"\$\{(?:oc\.env:[^${}]*|\.*\w[\w.]*)\}")


@dataclass(frozen=True)
class PlainValues:
    """The content of one point, in which values of some keys can be replaced.

    Attributes:
        cfg: the point's config. Its values at the keys do not matter.
        content: its resolved content.
        converted: for each override used so far, its value as the schema converts it.
    """

    cfg: DictConfig
    content: Mapping[str, Any]
    converted: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, cfg: DictConfig, content: Mapping[str, Any], keys: Sequence[str], others: Sequence[str]
    ) -> "PlainValues | None":
        """Make it from a point's config, which it keeps. None if the content cannot be reused.

        Args:
            cfg: the config.
            content: its content, as `resolve.content_of` returns it.
            keys: all keys whose values may differ between points.
            others: further keys that the points set, all to the same values.
        """
        raw: Any = OmegaConf.to_container(cfg, resolve=False)
        texts = [text for text in _texts(raw) if "${" in text]
        depend = any("${" in SIMPLE.sub("", text) for text in texts)
        mentioned = any(part in text for key in keys for part in key.split(".") for text in texts)
        within = any(f"{key}.".startswith(f"{other}.") for key in keys for other in others)
        single = len(set(keys)) == len(keys) and all(_is_leaf(raw, key) and _is_leaf(content, key) for key in keys)
        return cls(cfg, content) if single and not (depend or mentioned or within) else None

    def with_values(self, overrides: Sequence[Override]) -> dict[str, Any] | None:
        """The content with other values at all keys, each of them plain. None if the schema refuses one."""
        content = dict(self.content)
        for override in overrides:
            line = str(override.input_line)
            if line not in self.converted and not self._convert(line, override):
                return None
            *parents, last = override.key_or_group.split(".")
            tree = content
            for parent in parents:
                tree[parent] = dict(tree[parent])
                tree = tree[parent]
            tree[last] = self.converted[line]
        return content

    def _convert(self, line: str, override: Override) -> bool:
        try:
            OmegaConf.update(self.cfg, override.key_or_group, override.value(), merge=True)
        except USER_ERRORS:
            return False
        self.converted[line] = OmegaConf.select(self.cfg, override.key_or_group)
        return True


def is_plain(override: Override) -> bool:
    """Whether the value of an override is one number, truth value, null, or text without a meaning in OmegaConf."""
    value = override.value()
    return type(value) in (int, float, bool, type(None)) or (isinstance(value, str) and not set(value) & set("$?\\"))


def _texts(tree: Any) -> Iterator[str]:
    """All texts in a tree of mappings and lists."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping | list):
        for value in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _texts(value)


def _is_leaf(tree: Any, key: str) -> bool:
    """Whether a key names a value in a tree of mappings, and neither a mapping nor a list."""
    for part in key.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return False
        tree = tree[part]
    return not isinstance(tree, Mapping | list)
