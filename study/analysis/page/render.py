"""Write the data of the page into one HTML file that needs nothing else."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from study.analysis.page.analysis import Analysis
from study.analysis.page.data import page_data
from study.records.files import write_whole

PAGE = "report.html"
STYLES = ("uPlot.min.css", "page.css")
SCRIPTS = ("uPlot.iife.min.js", "values.js", "tables.js", "charts.js", "page.js")
LIVE_STYLES, LIVE_SCRIPTS = ("live.css",), ("live.js",)


def write_page(target: Path, analysis: Analysis) -> None:
    """Write report.html.

    Args:
        target: the folder analysis/ of a study.
        analysis: the analyzed study.
    """
    write_whole(target / PAGE, render(page_data(analysis, target)))


def render(data: Mapping[str, Any], live: bool = False) -> str:
    """Return the page as HTML, with the data in it. Everything in the data is escaped.

    A Content-Security-Policy allows the page's own scripts and styles only, by their hashes. The page's function
    `study.update(data)` shows other data, and keeps what the reader has filtered, sorted and chosen.

    Args:
        data: from `page_data`.
        live: whether the page asks the server that it comes from for what is new.
    """
    style, scripts = _parts([*STYLES, *LIVE_STYLES] if live else STYLES, [*SCRIPTS, *LIVE_SCRIPTS] if live else SCRIPTS)
    return _template("page.html.j2").render(
        data=data,
        content=htmlsafe_json_dumps(data, dumps=_dumps),
        policy=_policy(style, scripts, live),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        live=live,
    )


def render_waiting(name: str) -> str:
    """Return the live page of a study without an epoch: it shows the runs under way alone."""
    style, scripts = _parts([*STYLES, *LIVE_STYLES], ["values.js", *LIVE_SCRIPTS])
    return _template("live.html.j2").render(
        name=name,
        policy=_policy(style, scripts, live=True),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
    )


def _parts(styles: Sequence[str], scripts: Sequence[str]) -> tuple[str, list[str]]:
    return "\n".join(_asset(name) for name in styles), [_asset(name) for name in scripts]


def _policy(style: str, scripts: Sequence[str], live: bool) -> str:
    source = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))};"
        f" connect-src {source}; base-uri 'none'; form-action 'none'"
    )


def _dumps(data: Any, **options: Any) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


@lru_cache(maxsize=16)
def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


@lru_cache(maxsize=2)
def _template(name: str) -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset(name))
