"""Write docs/reference/config.md, options.md and commands.md from the YAML files and the commands' docstrings.

python scripts/reference.py            # writes the pages
python scripts/reference.py --check    # exits with 1 if a page is outdated; .ci/run calls it
"""

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from study.cli.help import Explained, keys_in, options, study_keys
from study.cli.main import COMMANDS, SUMMARIES
from study.config.folders import CONF

PAGES = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- written by scripts/reference.py -->\n\n"
GROUPS = {
    "data": "Data sets",
    "model": "Models",
    "optimizer": "Optimizers",
    "schedule": "Schedules of the learning rate",
    "reg": "Regularizers",
    "experiment": "Experiments",
    "figure": "Figures",
    "style": "Styles of figures",
    "hydra/launcher": "Launchers",
}


def config_page() -> str:
    """Return the page of all keys of training and of `study analyze`."""
    lines = ["# Config keys", "", "`study help KEY` prints the same.", "", "## Training: `study KEY=VALUE ...`", ""]
    lines += _table(study_keys(CONF))
    lines += ["", "## Analysis: `study analyze KEY=VALUE ...`", "", *_table(study_keys(CONF, "analysis"))]
    return NOTE + "\n".join(lines) + "\n"


def options_page() -> str:
    """Return the page of all options of all groups, with their keys."""
    lines = ["# Options", "", "Choose one of each group: `reg=l1`. Each is a YAML file in `conf/`.", ""]
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for file, option in options([CONF], group):
            lines += [f"**{group}={option.name}**: {_sentences(option)}", ""]
            own = [key for key in keys_in(file) if not key.name.endswith(("_target_", "defaults"))]
            if own and group != "experiment":
                prefix = "" if group == "figure" else f"{group.replace('/', '.')}."
                lines += [f"- `{prefix}{key.name}={key.default}` {_cell(key.text)}".rstrip() for key in own]
                lines.append("")
    return (NOTE + "\n".join(lines)).replace("`reg.lam=", "`lam=")


def commands_page() -> str:
    """Return the page of all subcommands, from their docstrings."""
    lines = ["# Commands", "", "| command | what it does |", "|---|---|"]
    lines += [f"| `study {command}` | {text} |" for command, text in SUMMARIES.items()]
    for name, (module, function) in COMMANDS.items():
        text = inspect.cleandoc(getattr(importlib.import_module(f"study.cli.{module}"), function).__doc__ or "")
        lines += ["", f"## study {name}", "", text]
    return NOTE + "\n".join(lines) + "\n"


def _table(keys: Sequence[Explained]) -> list[str]:
    rows = [f"| `{key.name}` | `{_cell(key.default)}` | {_sentences(key)} |" for key in keys]
    return ["| key | default | meaning |", "|---|---|---|", *rows]


def _sentences(explained: Explained) -> str:
    return f"{_cell(explained.text).rstrip('.')}. {_cell(explained.details)}".strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def main() -> int:
    """Write or check the pages; return 1 if a page is outdated."""
    outdated = []
    for name, content in {"config": config_page(), "options": options_page(), "commands": commands_page()}.items():
        page = PAGES / f"{name}.md"
        if "--check" in sys.argv:
            outdated += [page.name] if not page.is_file() or page.read_text(encoding="utf-8") != content else []
        else:
            page.write_text(content, encoding="utf-8")
    if outdated:
        print(f"outdated: {', '.join(outdated)}. Run python scripts/reference.py", file=sys.stderr)
    return 1 if outdated else 0


if __name__ == "__main__":
    raise SystemExit(main())
