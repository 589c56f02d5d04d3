"""A command whose output nobody reads, as in `study --help | head -3`, ends without a message."""

import os
from contextlib import contextmanager, redirect_stdout

import pytest

from study.analysis.command import analyze_study
from study.analysis.comparison import Options
from study.cli.messages import exit_with
from study.errors import StudyError


@contextmanager
def unread():
    """Standard output as a pipe that nobody reads, in the block."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout, redirect_stdout(stdout):
        yield


@pytest.mark.parametrize("characters", [5, 100_000])  # a buffer that is flushed at the end, and one that overflows
def test_what_is_printed_to_nobody_ends_the_command_quietly(capsys, characters):
    def command():
        print("x" * characters)
        return 0

    with unread(), pytest.raises(SystemExit) as end:
        exit_with(command)
    assert end.value.code == 1
    assert capsys.readouterr().err == ""


def test_another_connection_that_breaks_is_still_an_error(capsys):
    def command():
        raise StudyError("the server has gone") from BrokenPipeError()

    with pytest.raises(SystemExit):
        exit_with(command)
    assert capsys.readouterr().err == "study: error: the server has gone\n"


def test_an_analysis_that_nobody_reads_writes_its_files(small, monkeypatch):
    monkeypatch.chdir(small.parents[1])
    with unread():
        assert analyze_study(Options("small", figures=[])) == 0
    assert (small / "analysis" / "report.html").is_file()
