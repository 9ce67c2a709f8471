"""Progress display of a sweep: a bar in a terminal, an updating line in JupyterLab, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from types import TracebackType

_LINE_EVERY_S = 2.0
_UPDATE_EVERY_S = 0.5


class Tally:
    """Counts the runs of a sweep.

    Args:
        total: runs to make; those that were there already are not among them.

    Attributes:
        total: as above.
        done: runs made so far.
        outcomes: how they ended.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.outcomes: Counter[str] = Counter()
        self._start_s = time.monotonic()

    def add(self, outcome: str) -> None:
        """Count one run."""
        self.done += 1
        self.outcomes[outcome] += 1

    def failures(self) -> str:
        """Name the failures, such as "no failures" or "1 failed, 2 timeout"."""
        bad = [f"{count} {name}" for name, count in sorted(self.outcomes.items()) if name != "ok"]
        return ", ".join(bad) or "no failures"

    def sentence(self) -> str:
        """Say how far the sweep is, with failures and time left."""
        text = f"{self.done} of {self.total} runs, {self.failures()}"
        if 0 < self.done < self.total:
            left_s = (time.monotonic() - self._start_s) / self.done * (self.total - self.done)
            text += f", about {int(left_s // 60)}:{int(left_s % 60):02d} min left"
        return text


class _Shown(Protocol):
    def show(self, tally: Tally, *, is_last: bool) -> None: ...


class Display:
    """Shows a sweep's progress while it is entered.

    Args:
        progress: "auto", "lines" or "none".
        total: runs to make.

    Attributes:
        tally: the counts.
    """

    def __init__(self, progress: str, total: int) -> None:
        self.tally = Tally(total)
        self._shown = _choose(progress, total)

    def __enter__(self) -> Self:
        self._shown.show(self.tally, is_last=False)
        return self

    def add(self, outcome: str) -> None:
        """Count a run and show it."""
        self.tally.add(outcome)
        self._shown.show(self.tally, is_last=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.show(self.tally, is_last=True)


class _Nothing:
    def show(self, tally: Tally, *, is_last: bool) -> None:
        pass


class _Lines:
    def __init__(self) -> None:
        self._next_s = 0.0

    def show(self, tally: Tally, *, is_last: bool) -> None:
        if is_last or time.monotonic() >= self._next_s:
            sys.stdout.write(tally.sentence() + "\n")
            sys.stdout.flush()
            self._next_s = time.monotonic() + _LINE_EVERY_S


class _Bar:
    def __init__(self, total: int) -> None:
        self._bar: tqdm[Any] = tqdm(total=total, unit="run", dynamic_ncols=True)

    def show(self, tally: Tally, *, is_last: bool) -> None:
        self._bar.set_postfix_str(tally.failures(), refresh=False)
        self._bar.update(tally.done - self._bar.n)
        if is_last:
            self._bar.close()


class _Notebook:
    def __init__(self) -> None:
        from IPython.display import DisplayHandle

        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]  # IPython carries no types
        self._next_s = -1.0

    def show(self, tally: Tally, *, is_last: bool) -> None:
        if not is_last and time.monotonic() < self._next_s:
            return
        filled = 30 * tally.done // max(tally.total, 1)
        text = {"text/plain": f"[{'#' * filled}{'.' * (30 - filled)}] {tally.sentence()}"}
        if self._next_s < 0:
            self._handle.display(text, raw=True)
        else:
            self._handle.update(text, raw=True)
        self._next_s = time.monotonic() + _UPDATE_EVERY_S


def _choose(progress: str, total: int) -> _Shown:
    if progress == "none":
        return _Nothing()
    if progress == "lines":
        return _Lines()
    shell = sys.modules.get("IPython")
    if shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell":
        return _Notebook()
    return _Bar(total) if sys.stderr.isatty() else _Lines()
