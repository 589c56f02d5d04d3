"""Explain an override that Hydra's grammar cannot read, and how to write it."""

import re
import shlex
from collections.abc import Callable, Iterator

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

UNQUOTED = r"[A-Za-z0-9_/\\+.$%*@?|: \t-]"  # characters that a value may have without quotes
BRACKETS = {"[": "]", "{": "}", "(": ")"}


def explained(override: str) -> str | None:
    """Return one line on an override that cannot be read; None if its spelling is not the problem.

    Args:
        override: the text as typed.
    """
    parser = OverridesParser.create()

    def reads(line: str) -> bool:
        try:
            parser.parse_override(line)
        except HydraException:
            return False
        return True

    key, equals, value = override.partition("=")
    shown = override if override.isprintable() else ascii(override)[1:-1]
    if not override.strip():
        return "'': a key with a value is missing. Allowed: key=value. Leave it out: a shell variable may not be set"
    if not reads(f"{key}=1"):
        return f"{shown}: there is no such key. Keys look like lam, optimizer.lr or reg. study --help lists all keys"
    if not equals:
        return f"{shown}: there is no value. Allowed: key=value, such as reg=l1. study --help lists all keys"
    return _of_value(key, value, shown, reads)


def _of_value(key: str, value: str, shown: str, reads: Callable[[str], bool]) -> str | None:
    if not value.replace("\t", " ").isprintable():
        return f"{shown}: only printable text without line breaks is allowed. Remove the other characters"
    in_quotes = _typed(f"{key}={_quoted(value)}")
    if (open_quote := _unmatched_quote(value)) is not None:
        return f"{shown}: the quote {open_quote} is not closed. For a text that contains it, write {in_quotes}"
    items = list(_items(value))
    if not all(item.strip() for item in items):
        return (
            f"{shown}: a value is missing before or after a comma. For several values, write -m {key}=a,b. For a text"
            f" with commas, write {in_quotes}"
        )
    if (bracket := _unmatched_bracket(value)) is not None:
        return (
            f"{shown}: the bracket {bracket} has no partner. For a list, write {key}=[1,2]; for a mapping,"
            f" {key}={{a: 1}}. For a text with brackets, write {in_quotes}"
        )
    wrong = [item for item in items if not reads(f"{key}={item}")]
    foreign = "".join(dict.fromkeys(re.sub(UNQUOTED, "", re.sub(r"'[^']*'|\"[^\"]*\"", "", "".join(wrong)))))
    if any(re.match(r"\s*(\[|\{|\w+\()", item) for item in wrong):
        return (
            f"{shown}: this is not a valid list, mapping or function. They look like [1,2], {{a: 1}} and range(1,3)."
            f" Put quotes around other characters in them, as in ['b,c'], but not around a mapping's keys. For a text"
            f" with brackets, write {in_quotes}"
        )
    line = f"{key}=" + ",".join(_quoted(item) if item in wrong else item for item in items)
    if not reads(line):
        return None
    return f"{shown}: {' '.join(foreign) or 'this text'} is not allowed without quotes. Write {_typed(line)}"


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.double if "'" in text and '"' not in text else Quote.single).with_quotes()


def _typed(line: str) -> str:
    """Return an override in quotes, as it must be typed in a shell."""
    return shlex.quote(line) if re.search(r'["$`\\!]', line) else f'"{line}"'


def _plain(value: str) -> Iterator[tuple[int, str]]:
    """Yield the position and character of everything outside quotes. An unclosed quote is such a character."""
    closed = re.sub(r"\\.|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", lambda found: " " * len(found[0]), value)
    return enumerate(closed)


def _unmatched_quote(value: str) -> str | None:
    return next((char for _, char in _plain(value) if char in "'\""), None)


def _unmatched_bracket(value: str) -> str | None:
    opened = []
    for _, char in _plain(value):
        if char in BRACKETS:
            opened.append(char)
        elif char in BRACKETS.values() and (not opened or BRACKETS[opened.pop()] != char):
            return char
    return opened[-1] if opened else None


def _items(value: str) -> Iterator[str]:
    """Yield the parts of a value between commas; commas in brackets or quotes do not separate."""
    depth, begin = 0, 0
    for place, char in _plain(value):
        depth += (char in BRACKETS) - (char in BRACKETS.values())
        if char == "," and depth <= 0:
            yield value[begin:place]
            begin = place + 1
    yield value[begin:]
