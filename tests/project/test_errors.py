"""The tree of errors: one base, and below it a branch for each party at fault."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pubsub_sim import (
    CallerError,
    Crash,
    DataError,
    FaultPlan,
    GossipsubParams,
    HostOptions,
    NetworkError,
    OptionConflict,
    OptionError,
    PeerScoreParams,
    PeerScoreThresholds,
    PubsubSimError,
    RemotePeerError,
)
from pubsub_sim import RunError as FailedRun
from pubsub_sim.errors import (
    Deadlock,
    DialledItself,
    FrameTooLarge,
    MessageRejected,
    MessageTooLarge,
    NeverQuiet,
    StreamRefused,
    TopicExists,
)
from pubsub_sim.packages import MissingPackageError
from pubsub_sim.report.errors import MixedConditionsError
from pubsub_sim.results.errors import NoRunsError, WrongSchemaError
from pubsub_sim.scenarios.simsub import Simsub

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


@pytest.mark.parametrize(
    "error",
    [
        OptionConflict("loop", "uvloop", "clock", "virtual", "one loop only"),
        OptionError("hosts", 0, "more"),
        MessageRejected("validation failed", "t"),
        MessageTooLarge(2, 1),
        NoRunsError(Path("sweep")),
        WrongSchemaError(Path("run.parquet"), "its footer lacks parameters"),
        MixedConditionsError("loop", ["uvloop", "asyncio"]),
        MissingPackageError("a sweep", "pyarrow", "bench"),
        Deadlock("nothing will ever happen", ["main"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_can_be_copied_and_pickled(error: PubsubSimError) -> None:
    """As between the workers of a sweep: its class, its sentence and its facts stay."""
    for same in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(same) is type(error)
        assert str(same) == str(error)
        assert vars(same) == vars(error)


def test_conflict_of_options_names_both() -> None:
    """It is an OptionError, and its facts are the two options, their values and the reason."""
    error = OptionConflict("loop", "uvloop", "clock", "virtual", "one loop only")
    assert isinstance(error, OptionError)
    assert (error.option, error.value, error.other, error.other_value) == ("loop", "uvloop", "clock", "virtual")
    for fact in ("loop='uvloop'", "clock='virtual'", "one loop only"):
        assert fact in str(error)


def conflicts_told_as_values(path: Path) -> list[str]:
    """OptionErrors whose expectation depends on another option: on an attribute of `self`, or on "as" it is something."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "OptionError" and len(node.args) == 3):
            continue
        expected = node.args[2]
        names = {part.attr for part in ast.walk(expected) if isinstance(part, ast.Attribute)}
        texts = [part.value for part in ast.walk(expected) if isinstance(part, ast.Constant)]
        of_self = {
            name for name in names if f"self.{name}" in ast.unparse(expected) and name != "topic"
        }  # whose option it is
        if of_self or any(re.search(r", as \w+ is |\bwithout [a-z]+\b, as\b|no \w+, as ", str(text)) for text in texts):
            found.append(f"{path.name}:{node.lineno} {ast.unparse(expected)}")
    return found


def test_what_another_option_forbids_is_a_conflict() -> None:
    """A value that would be right if another option were different is refused by OptionConflict, which names both."""
    paths = sorted((ROOT / "pubsub_sim").rglob("*.py"))
    assert [found for path in paths for found in conflicts_told_as_values(path)] == []


def test_a_conflict_told_as_a_value_is_found(tmp_path: Path) -> None:
    """By the other option's value in the sentence, or by its state; not by a limit of the own option."""
    path = tmp_path / "module.py"
    path.write_text(
        'raise OptionError("a", self.a, f"at most b, {self.b}")\n'
        'raise OptionError("a", a, "no author, as has_author is false")\n'
        'raise OptionError("a", a, f"at most {LIMIT}")\n'
    )
    assert [told.split(" ")[0] for told in conflicts_told_as_values(path)] == ["module.py:1", "module.py:2"]


@pytest.mark.parametrize(
    ("make", "option", "other"),
    [
        (lambda: GossipsubParams(thresholds=PeerScoreThresholds()), "thresholds", "score"),
        (lambda: GossipsubParams(d=13), "d", "d_hi"),
        (lambda: GossipsubParams(d=4), "d_lo", "d"),
        (lambda: GossipsubParams(d_out=5, checks_degrees=True), "d_out", "d_lo"),
        (lambda: GossipsubParams(d_out=3, checks_degrees=True), "d_out", "d"),
        (lambda: GossipsubParams(history_gossip=6), "history_gossip", "history_length"),
        (
            lambda: PeerScoreThresholds(gossip_threshold=-2, publish_threshold=-1),
            "publish_threshold",
            "gossip_threshold",
        ),
        (lambda: PeerScoreParams(), "app_specific_score", "skip_atomic_validation"),
        (lambda: HostOptions(has_author=False), "message_id", "has_author"),
        (
            lambda: FaultPlan(faults=(Crash(host=1, at_s=1, for_s=5), Crash(host=1, at_s=2, for_s=1))),
            "faults",
            "faults",
        ),
        (lambda: Simsub(version="states", hosts=5, sources=5), "hosts", "sources"),
    ],
)
def test_a_forbidden_combination_names_both_options(make: Callable[[], object], option: str, other: str) -> None:
    """Whichever room refuses it."""
    with pytest.raises(OptionConflict) as refused:
        make()
    assert (refused.value.option, refused.value.other) == (option, other)
