"""Claims about study watch: the page of a study that runs, its answers, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from study.cli.watch import Watched
from tests.analysis.page.test_browser import browser  # noqa: F401
from tests.analysis.test_partial import half_done, stopped  # noqa: F401

FEW = ("data=digits", "data.train_size=200", "model.hidden=[8]", "workers=1", "name=live")


def ask(address, path=""):
    with urllib.request.urlopen(address + path, timeout=20) as answer:
        return answer.read().decode()


def until(found, seconds=60):
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.2)
    return answer


@pytest.fixture
def watching(tmp_path):
    """Start `study watch`, and return its address; afterwards Ctrl-C must end it quietly."""
    started = []

    def watch(name):
        command = [sys.executable, "-m", "study", "watch", f"name={name}", "open=false"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return re.search(r"http\S+", process.stdout.readline())[0]

    yield watch
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""


def test_an_ended_study_is_served_without_test_scores_and_nothing_is_written(small, watching, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    address = watching("small")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    now = json.loads(ask(address, "now"))
    assert now["counts"] == {"complete": 6}
    assert now["runs"] == []
    until(lambda: json.loads(ask(address, "now"))["data"])
    data = json.loads(ask(address, "data"))
    assert len(data["runs"]["rows"]) == 6
    headers = next(table["headers"] for table in data["tables"] if table["stem"] == "gap_table")
    assert "Val acc. (%)" in headers
    assert not [header for header in headers if header.startswith("Test")]
    assert any("Test scores are not shown" in text for text in data["warnings"])
    run = data["runs"]["rows"][0]["run"]
    assert "epoch 1: train" in json.loads(ask(address, f"log?run={run}"))["log"]
    for path in ("log?run=../small", "log", "nothing"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(address, path)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before
    assert "ledger.csv" not in {path.name for path in small.iterdir()}


def test_a_run_under_way_is_shown_at_once_and_its_tables_after_an_analysis(half_done):  # noqa: F811
    watched = Watched("s")
    kind, waiting = watched.page({})
    assert kind == "text/html"
    assert "The report appears here once runs have trained an epoch" in waiting
    now = json.loads(watched.now({})[1])
    assert now["counts"] == {"complete": 1, "interrupted": 1}
    watched.analysis.join()
    assert json.loads(watched.now({})[1])["data"] == 1
    data = json.loads(watched.results({})[1])
    assert any(text.startswith("PARTIAL: 1 of 2 runs") for text in data["warnings"])
    assert 'id="now"' in watched.page({})[1]
    assert "epoch 1: train" in json.loads(watched.log({"run": now["runs"][0]["run"]})[1])["log"]
    assert watched.log({"run": "../s"}) is None
    watched.now({})  # nothing is new: no further analysis
    assert not watched.analysis.is_alive()
    assert watched.count == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("name=nothing", "outputs/nothing does not exist"),
        ("name=../small", "name=../small"),
        ("port=http", "port=http: must be a number from 1 to 65535"),
        ("port=70000", "port=70000: must be a number from 1 to 65535"),
        ("open=maybe", "open=maybe"),
        ("nme=small", "nme"),
    ],
)
def test_what_cannot_be_watched_is_refused(study, small, given, message):
    result = study("watch", given)
    assert result.code == 1
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_sweep_appears_in_a_browser_while_it_runs(browser, watching, tmp_path):  # noqa: F811
    """The epochs of a run under way increase on the page, and the tables come without loading it again by hand."""
    command = [sys.executable, "-m", "study", "-m", *FEW, "reg=none,l1", "epochs=100000"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sweep:
        try:
            until(lambda: list((tmp_path / "outputs").glob("live/.work/*/metrics.csv")))
            address = watching("live")
            wrong = []
            page = browser.new_page(viewport={"width": 1000, "height": 900})
            page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda request: request.url.startswith(address) or wrong.append(request.url))
            page.goto(address)
            epochs = page.locator("#now .run .note").first
            first = until(lambda: re.search(r"epoch ([1-9]\d*) of 100000", epochs.inner_text()))[1]
            until(lambda: int(re.search(r"epoch (\d+) of", epochs.inner_text())[1]) > int(first))
            page.wait_for_selector("#gap table", timeout=300_000)  # study watch leaves busy cores to others
            assert "PARTIAL: 1 of 1 runs" in page.locator("#protocol .warnings").inner_text()
            page.locator("#now summary").first.click()
            assert ": train" in until(lambda: page.locator("#now .log").first.inner_text())
            sweep.send_signal(signal.SIGINT)
            until(lambda: "1 interrupted" in page.locator("#now .summary").inner_text())
        finally:
            sweep.kill()
    assert wrong == []
    page.close()
