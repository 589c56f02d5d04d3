"""`study watch`: a page of a study that follows it while it runs."""

import os
import time
import webbrowser
from collections.abc import Mapping
from threading import Lock, Thread
from typing import Any

from study.analysis.comparison import Options, compare
from study.analysis.drawing.style import style_of
from study.analysis.live.following import Following
from study.analysis.live.server import Answer, LiveServer, as_json
from study.analysis.page.analysis import Analysis
from study.analysis.page.data import page_data
from study.analysis.page.render import render, render_waiting
from study.cli.arguments import key_values, study_folder
from study.config.run_config import check_name
from study.errors import USER_ERRORS, ConfigError, StudyError, one_line
from study.records.contract import ANALYSIS, OUTPUTS

LEAST = 10.0  # seconds between two analyses
SHARE = 0.01  # of one core that analyses may take
NICE = 19  # the sweep comes first


class Watched:
    """What the page of a study shows: looks at runs under way with each question, and rarer analyses beside them."""

    def __init__(self, name: str):
        self.name = name
        self.folder = study_folder(OUTPUTS / check_name(name))
        self.following = Following(self.folder)
        self.lock = Lock()  # of the looks
        self.analysis: Thread | None = None
        self.data: dict[str, Any] | None = None
        self.count = 0  # of analyses that found something new
        self.due = 0.0
        self.problem = ""  # why the last analysis gave no results
        self.shown = ""  # what the study's files showed at the last analysis

    def page(self, _: Mapping[str, str]) -> Answer:
        """Return the page."""
        self._follow()
        return "text/html", render_waiting(self.name) if self.data is None else render(self.data, live=True)

    def now(self, _: Mapping[str, str]) -> Answer:
        """Return what the study's files show now; `data` is the number of the analysis that the page should show."""
        return as_json({**self._follow(), "data": self.count, "problem": self.problem})

    def results(self, _: Mapping[str, str]) -> Answer | None:
        """Return the data of the page; None if no run has an epoch."""
        return None if self.data is None else as_json(self.data)

    def log(self, asked: Mapping[str, str]) -> Answer | None:
        """Return the log of a run; None if the study has no such run."""
        with self.lock:
            found = self.following.log_of(asked.get("run", ""))
        return None if found is None else as_json({"log": found})

    def _follow(self) -> dict[str, Any]:
        """Look at the study, and start an analysis if it is time and something has changed."""
        with self.lock:
            found = self.following.look()
            shown = f"{found['version']} {[(run['run'], run['epoch']) for run in found['runs']]}"
            busy = self.analysis is not None and self.analysis.is_alive()
            if not busy and time.monotonic() >= self.due and shown != self.shown:
                self.analysis = Thread(target=self._analyze, args=(shown,), daemon=True)
                self.analysis.start()
        return found

    def _analyze(self, shown: str) -> None:
        """Analyze the study. If that takes t seconds, the next analysis waits for t / SHARE seconds."""
        began = time.thread_time()
        try:
            compared = compare(self.folder, Options(self.name, partial=True, live=True))
            sections = compared.sections()
            analysis = Analysis(compared, sections, *compared.view(sections, style_of("plain")))
            self.data = page_data(analysis, self.folder / ANALYSIS)
            self.count += 1
            self.problem = ""
        except (*USER_ERRORS, OSError) as error:  # for example, no run has an epoch yet: the list is still shown
            self.problem = one_line(error)
        finally:
            self.shown = shown
            self.due = time.monotonic() + max(LEAST, (time.thread_time() - began) / SHARE)


def study_watch(arguments: list[str]) -> int:
    """study watch name=mine: show a study in the browser while it runs.

    It serves the report on this machine alone, at an address with a random token, until Ctrl-C. Runs under way appear
    with their curves, log and machine, and new epochs within two seconds. The tables compare all runs at the last epoch
    that each has, and follow less often, so that analyses take at most 1 % of one core. Test scores are not shown.
    The command only reads the study's files. It may be started during or after the sweep.
    open=false does not open the browser. port=8000 chooses the port; the default is a free one.
    """
    given = key_values(arguments, {"name": "default", "port": "0", "open": "true"}, {"open": ("true", "false")})
    if not (given["port"].isdecimal() and int(given["port"]) < 2**16):
        raise ConfigError(f"port={given['port']}: must be a number from 1 to 65535. Example: port=8000")
    watched = Watched(given["name"])
    if hasattr(os, "nice"):
        os.nice(NICE)
    pages = {"": watched.page, "now": watched.now, "data": watched.results, "log": watched.log}
    try:
        server = LiveServer(pages, int(given["port"]))
    except OSError as error:
        raise StudyError(f"port={given['port']} cannot be used ({error.strerror}). Choose another port=...") from None
    with server:
        print(f"{watched.folder}: {server.address}\nCtrl-C ends it", flush=True)
        if given["open"] == "true":
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
