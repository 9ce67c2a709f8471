"""The tree of errors: one base, and below it a branch for each party at fault."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from pubsub_sim import (
    CallerError,
    DataError,
    NetworkError,
    OptionConflict,
    OptionError,
    PubsubSimError,
    RemotePeerError,
)
from pubsub_sim import RunError as FailedRun
from pubsub_sim.errors import (
    DialledItself,
    FrameTooLarge,
    MessageTooLarge,
    NeverQuiet,
    StreamRefused,
    TopicExists,
)
from pubsub_sim.report.errors import MixedConditionsError
from pubsub_sim.results.errors import NoRunsError

ROOT = Path(__file__).parents[2]
BRANCHES = (CallerError, RemotePeerError, NetworkError, DataError, FailedRun)
ROOM_BASES = {
    "ReportError",
    "ExportError",
    "Libp2pError",
    "_TooLarge",
}  # group errors by place or by shape, across the branches


def all_errors() -> list[type[PubsubSimError]]:
    """Every error class of the package, wherever it is defined."""
    found = set()
    for path in sorted((ROOT / "pubsub_sim").rglob("*.py")):
        if "Error" not in path.read_text() or path.name in ("hatch_build.py", "__main__.py") or "peers" in path.parts:
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if issubclass(kind, PubsubSimError) and kind is not PubsubSimError:
                found.add(kind)
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def test_each_error_is_on_exactly_one_branch() -> None:
    """A caller that catches the branches catches everything once; only bases of a room stand across them."""
    errors = all_errors()
    assert len(errors) > 50
    for kind in errors:
        if kind.__name__ not in ROOM_BASES:
            assert sum(issubclass(kind, branch) for branch in BRANCHES) == 1, kind


@pytest.mark.parametrize(
    ("error", "branch"),
    [
        (OptionError("hosts", 0, "more"), CallerError),
        (TopicExists("t"), CallerError),
        (MessageTooLarge(2, 1), CallerError),
        (FrameTooLarge(2, 1), RemotePeerError),
        (DialledItself("p"), NetworkError),
        (StreamRefused("p", "why"), NetworkError),
        (NoRunsError(Path("sweep")), DataError),
        (MixedConditionsError("loop", ["uvloop", "asyncio"]), DataError),
        (NeverQuiet(1.0, ["host 1"]), FailedRun),
    ],
)
def test_except_on_a_branch_catches_its_errors_and_no_others(
    error: PubsubSimError, branch: type[PubsubSimError]
) -> None:
    """`except` on a branch is enough to know by whose fault a call failed."""
    for other in BRANCHES:
        if other is branch:
            with pytest.raises(branch):
                raise error
        else:
            assert not isinstance(error, other)


def test_conflict_of_options_names_both() -> None:
    """It is an OptionError, and its facts are the two options, their values and the reason."""
    error = OptionConflict("loop", "uvloop", "clock", "virtual", "one loop only")
    assert isinstance(error, OptionError)
    assert (error.option, error.value, error.other, error.other_value) == ("loop", "uvloop", "clock", "virtual")
    for fact in ("loop='uvloop'", "clock='virtual'", "one loop only"):
        assert fact in str(error)
