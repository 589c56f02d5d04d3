"""Parse the overrides of a command once each, and those that set a number without Hydra's parser.

A parse takes a millisecond, and seconds for a list of thousands of values. A command needs each override several times.
"""

import re
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import Override, OverrideType, ValueType

KEY = r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
WHOLE = r"(?:0|[1-9]\d*)"
# A part of Hydra's grammar, in which the value can only be a number.
SETS_NUMBER = re.compile(rf"{KEY}=(?:([+-]?{WHOLE})|([+-]?{WHOLE}(?:\.\d+)?(?:[eE][+-]?\d+)?))", re.ASCII)


class OverridesOnce(OverridesParser):
    """Hydra's parser, which keeps what it has parsed."""

    def __init__(self, config_loader: ConfigLoader):
        super().__init__(create_functions(), config_loader)
        self.known: dict[str, Override] = {}

    def parse(self, line: str) -> Override:
        """Parse one override. The result must not be changed.

        Raises:
            OverrideParseException: it is no override.
        """
        return self.known[line] if line in self.known else self.parse_overrides([line])[0]

    def parse_rule(self, s: str, rule_name: str) -> Any:
        """Parse a text by a rule of Hydra's grammar."""
        if rule_name != "override":
            return super().parse_rule(s, rule_name)
        if s not in self.known:
            self.known[s] = self._of_number(s) or super().parse_rule(s, rule_name)
        return self.known[s]

    def _of_number(self, line: str) -> Override | None:
        found = SETS_NUMBER.fullmatch(line)
        if found is None:
            return None
        key, whole, broken = found.groups()
        value = float(broken) if whole is None else int(whole)
        return Override(OverrideType.CHANGE, key, ValueType.ELEMENT, value, None, line, self.config_loader)
