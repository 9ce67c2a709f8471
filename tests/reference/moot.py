"""The reference's tests that do not apply to this library, with the reasons."""

from __future__ import annotations

from typing import Final

TESTS: Final = {
    "TestNilCtx": "a machine takes no context: work ends with states, with tasks and with dispose; ids are numbers, so that equal runs are equal",
    "TestSMerge": "lists of names are plain Python: dict.fromkeys((*a, *b))",
    "TestStateUtils": "a State is immutable; a schema overrides whole states, by inheritance or `merge`, and never single fields",
    "TestGroups": "groups of states are plain tuples of names, handed to `switch`, `any_` and `is_`; there is nothing to register",
    "TestAMerge": "arguments are keyword arguments: {**a, **b}",
    "TestChanReuse": "futures are never shared between waiters, since cancelling one would cancel the other",
    "TestBreakpoints": "a debugger stops at a condition in a handler or in a tracer's hook; the library has no breakpoints of its own",
    "TestWithOpts": "options are keyword arguments and have no debugging variants; nothing times out in a debugger",
    "TestEnv": "no environment variable configures the library: `log_level` and `logging` do",
    "TestStepTypeString": "steps of a resolution are not recorded; the log explains them",
}  # fmt: skip
"""Unit tests of asyncmachine-go 0.19 without a counterpart here: name to reason."""

VECTORS: Final = {"V63": "Require order ties are broken by definition order (Q-18), so B comes before the auto state C"}
"""Golden vectors whose outcome is decided otherwise here: name to reason."""

HISTORY: Final = ("TestTrack", "TestTrackMany")
"""Unit tests of the reference's history package, not among the 117 of its machine: tests/asyncmachine/test_history.py."""
