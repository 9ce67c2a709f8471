"""Progress."""

import io
import sys

import pytest

from pubsub_sim.bench.display import Display, Tally


def test_sentence_tells_counts_failures_and_time_left() -> None:
    """The progress of a sweep tells the runs made, the failures by kind, and the time left."""
    tally = Tally(5)
    assert tally.sentence() == "0 of 5 runs, no failures"
    for outcome in ("ok", "timeout", "failed", "timeout"):
        tally.add(outcome)
    assert tally.sentence().startswith("4 of 5 runs, 1 failed, 2 timeout, about 0:0")
    tally.add("ok")
    assert tally.sentence() == "5 of 5 runs, 1 failed, 2 timeout"


def test_plain_lines_are_few_and_the_last_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """Many fast runs give one line at the start and one at the end, not one each."""
    with Display("lines", 500) as display:
        for _ in range(500):
            display.add("ok")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 of 500 runs, no failures"
    assert lines[-1] == "500 of 500 runs, no failures"
    assert len(lines) < 10


def test_none_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Without progress nothing is written."""
    with Display("none", 1) as display:
        display.add("ok")
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Where output goes to a file, the automatic choice is plain lines and no bar."""
    with Display("auto", 1) as display:
        display.add("ok")
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "1 of 1 runs, no failures"
    assert captured.err == ""


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_terminal_has_a_bar_with_counts_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last state of the bar counts all runs, and names those that failed."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Display("auto", 3) as display:
        for outcome in ("ok", "timeout", "failed"):
            display.add(outcome)
    last = terminal.getvalue().rstrip().rpartition("\r")[2]
    assert "3/3" in last
    assert "1 failed, 1 timeout" in last


def test_bar_of_a_sweep_that_was_interrupted_tells_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left as it is, below what comes next."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    display = Display("auto", 3)

    def interrupt() -> None:
        with display:
            display.add("ok")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert "1/3" in terminal.getvalue().rpartition("\r")[2]
    assert terminal.getvalue().endswith("\n")
