"""Progress display of a sweep: tqdm's bar in a terminal or a notebook, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from tqdm import TqdmWarning

if TYPE_CHECKING:
    from types import TracebackType

    from tqdm import tqdm

_LINE_EVERY_S = 2.0


class Tally:
    """Counts the runs of a sweep.

    Args:
        total: runs to make; those that were there already are not among them.
        sessions: how many sessions the sweep has.

    Attributes:
        total: as above.
        done: runs made so far.
        outcomes: how they ended.
        session: number of the session of the last one.
        sessions_s: number of a session to the seconds that its runs have taken.
        disturbed: runs that something else on the machine disturbed.
    """

    def __init__(self, total: int, sessions: int = 1) -> None:
        self.total = total
        self.done = 0
        self.outcomes: Counter[str] = Counter()
        self.session = 1
        self.disturbed = 0
        self.sessions_s: dict[int, float] = {}
        self._sessions = sessions
        self._start_s = self._last_s = time.monotonic()

    def add(self, outcome: str, session: int = 1, *, is_disturbed: bool = False) -> None:
        """Count one run."""
        self.disturbed += is_disturbed
        now_s = time.monotonic()
        self.done += 1
        self.outcomes[outcome] += 1
        self.session = session
        self.sessions_s[session] = self.sessions_s.get(session, 0.0) + now_s - self._last_s
        self._last_s = now_s

    def failures(self) -> str:
        """Name the failures, such as "no failures" or "1 failed, 2 timeout", and the runs that were disturbed, if any."""
        bad = [f"{count} {name}" for name, count in sorted(self.outcomes.items()) if name != "ok"]
        text = ", ".join(bad) or "no failures"
        return f"{text}, {self.disturbed} disturbed by others" if self.disturbed else text

    def sentence(self) -> str:
        """Say how far the sweep is, with failures and time left."""
        text = f"{self.done} of {self.total} runs, {self.failures()}"
        if self._sessions > 1 and self.done:
            text += f", session {self.session} of {self._sessions} for {self.sessions_s[self.session]:.0f} s"
        if 0 < self.done < self.total:
            left_s = (time.monotonic() - self._start_s) / self.done * (self.total - self.done)
            text += f", about {int(left_s // 60)}:{int(left_s % 60):02d} min left"
        return text


class Display:
    """Shows a sweep's progress while it is entered.

    Args:
        progress: "auto" for a bar in a terminal or a notebook and plain lines elsewhere, "lines", or "none".
        total: runs to make.
        sessions: how many sessions the sweep has.

    Attributes:
        tally: the counts.
    """

    def __init__(self, progress: str, total: int, sessions: int = 1) -> None:
        self.tally = Tally(total, sessions)
        self._bar: tqdm[Any] | None = None
        self._has_lines = progress == "lines"
        self._next_s = 0.0
        if progress == "auto" and (sys.stderr.isatty() or _is_notebook()):
            self._bar = _make_bar(total)
        elif progress == "auto":
            self._has_lines = True

    def __enter__(self) -> Self:
        self._show()
        return self

    def add(self, outcome: str, session: int = 1, *, is_disturbed: bool = False) -> None:
        """Count a run and show it."""
        self.tally.add(outcome, session, is_disturbed=is_disturbed)
        self._show()

    def spare(self, runs: int) -> None:
        """Take runs off the total that turned out not to be needed."""
        self.tally.total -= runs
        if self._bar is not None:
            self._bar.total = self.tally.total

    def tell(self, text: str) -> None:
        """Show a line at once."""
        if self._bar is not None:
            self._bar.write(text)
        elif self._has_lines:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(is_last=True)
        if self._bar is not None:
            self._bar.close()

    def _show(self, *, is_last: bool = False) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self.tally.failures(), refresh=is_last)
            self._bar.update(self.tally.done - self._bar.n)
        elif self._has_lines and (is_last or time.monotonic() >= self._next_s):
            sys.stdout.write(self.tally.sentence() + "\n")
            sys.stdout.flush()
            self._next_s = time.monotonic() + _LINE_EVERY_S


def _is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def _make_bar(total: int) -> tqdm[Any]:
    """A bar with the time left: a widget in a notebook that has ipywidgets, text elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # it asks for ipywidgets; text will do
        from tqdm.auto import tqdm as automatic
    return automatic(total=total, unit="run", dynamic_ncols=True)
