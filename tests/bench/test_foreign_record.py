"""Records that a foreign program prints and that cannot be: each is a failed run, and the sweep goes on."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.process import Answer, run_worker
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.results import RUN, Store, wide

GOOD: dict[str, Any] = {"outcome": "ok", "error": "", "rows": [["run", "failures", 0]], "version": {}}
WITH = {
    "unknown outcome": {"outcome": "splendid"},
    "outcome that is not the program's to say": {
        "outcome": "timeout",
        "error": "slow",
        "rows": [["run", "failures", 1]],
    },
    "outcome of another type": {"outcome": ["ok"]},
    "unknown metric": {"rows": [["run", "failures", 0], ["run", "parsecs", 12]]},
    "metric of another type": {"rows": [["run", "failures", 0], ["run", ["wall_ns"], 12]]},
    "phase of another type": {"rows": [["run", "failures", 0], [1, "wall_ns", 12]]},
    "float": {"rows": [["run", "failures", 0], ["rand msgs", "cpu_ns", 1.5]]},
    "truth value": {"rows": [["run", "failures", False]]},
    "number beyond 64 bits": {"rows": [["run", "failures", 0], ["run", "wall_ns", 2**64]]},
    "malformed row": {"rows": [["run", "failures"]]},
    "row that is no list": {"rows": ["abc"]},
    "rows that are none": {"rows": 5},
    "metric twice": {"rows": [["run", "failures", 0], ["run", "failures", 0]]},
    "no failures row": {"rows": []},
    "ok with an error": {"error": "but"},
    "failed without an error": {"outcome": "failed", "rows": [["run", "failures", 1]]},
    "failed with a blank error": {"outcome": "failed", "error": " ", "rows": [["run", "failures", 1]]},
    "error of another type": {"outcome": "failed", "error": 5, "rows": [["run", "failures", 1]]},
    "half of a surrogate pair": {"outcome": "failed", "error": "\ud800", "rows": [["run", "failures", 1]]},
    "version that is no object": {"version": "mine"},
}
TEXTS = {name: json.dumps(GOOD | change) for name, change in WITH.items()} | {
    "no JSON": "ready.",
    "no object": "[1, 2]",
    "part of a record": '{"outcome": "ok"}',
    "not a number": json.dumps(GOOD | {"version": {"x": float("nan")}}),
    "deeper than can be read": "[" * 100_000,
    "nothing but blanks": "  \n",
}


def program(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def answer(source: str, **limits: float) -> Answer:
    return run_worker("{}", environment={}, limit_s=limits.pop("limit_s", 60), command=program(source), **limits)


@pytest.mark.parametrize("name", TEXTS)
def test_impossible_record_is_a_failed_run_that_quotes_it(name: str) -> None:
    """Whatever is wrong with it, the run failed, the sentence is one line, and quotes the end of what was printed."""
    text = TEXTS[name]
    found = answer(f"import sys; sys.stdout.write({text!r}); sys.stderr.write('an odd day\\n')")
    assert found.outcome == "failed"
    assert found.rows[0] == (RUN, "failures", 1)
    assert "record" in found.error
    assert "\n" not in found.error
    assert "stderr ends with 'an odd day'" in found.error
    assert not text.strip() or f"stdout ends with {text.strip()[-10:]!r}"[-10:] in found.error


def test_the_sentence_says_what_is_wrong() -> None:
    """It names the field, what was expected and what came."""
    found = answer(f"print({TEXTS['unknown outcome']!r})")
    start = "the worker ended with status 0 and no usable record (outcome: expected one of ok, failed, "
    assert found.error.startswith(start)
    assert "got 'splendid'" in found.error


def test_ok_with_a_bad_status_is_a_failed_run() -> None:
    """A program that calls its run ok and then ends as a failure is not believed."""
    found = answer(f"import sys; print({json.dumps(GOOD)!r}); sys.exit(3)")
    assert (found.outcome, found.rows) == ("failed", Answer("failed", "").rows)
    assert "status 3" in found.error


@pytest.mark.parametrize("number", [9, 11, 34, 40, 64])
def test_death_by_any_signal_is_a_crash(number: int) -> None:
    """Signals without a name too; what was printed before is quoted."""
    found = answer(f"import os; os.write(2, b'so long\\n'); os.kill(os.getpid(), {number})")
    assert found.outcome == "crashed"
    assert found.error.startswith("the worker was killed by ")
    assert found.error.endswith("before its first phase; stderr ends with 'so long'")


def test_only_the_last_mebibyte_of_what_is_printed_is_kept() -> None:
    """A program that floods both streams is a failed run; its phases are told all the same."""
    flood = "for _ in range(64): sys.stdout.write('o' * 65536 + '\\n'); sys.stderr.write('e' * 65536 + '\\n')"
    found = answer(f"import sys; sys.stderr.write('phase: flood\\n')\n{flood}\nsys.stderr.write('the end\\n')")
    assert found.outcome == "failed"
    assert "no usable record (it has 4,194,368 bytes)" in found.error
    assert len(found.log) <= 2**20
    assert found.log.endswith("\nthe end")


def test_start_has_a_limit_of_its_own() -> None:
    """A program that tells no phase is stopped at the limit of the start, and the sentence says so."""
    found = answer("import time; time.sleep(3600)", startup_s=0.3)
    assert found == Answer(
        "timeout", "the worker was stopped at the limit of 0.3 s for its start before its first phase"
    )


def test_process_that_does_not_end_after_its_last_word_is_stopped() -> None:
    """Its streams are closed and it lives on: it is stopped, and nobody else has to wait for it."""
    source = "import os, time; os.write(2, b'phase: a\\n'); os.close(1); os.close(2); time.sleep(3600)"
    found = answer(source, startup_s=5.0, limit_s=60)
    assert found == Answer("timeout", "the worker did not end within 5 s of its last word")


def test_sweep_goes_on_and_stores_all(tmp_path: Path) -> None:
    """The other version's runs are made, and the failed ones are records with their sentence and logs."""
    source = f"import sys; sys.stderr.write('phase: init\\nwhy not\\n'); print({TEXTS['float']!r})"
    options = SweepOptions(
        versions="baseline,odd",
        hosts=2,
        messages=1,
        repeats=2,
        out=str(tmp_path / "runs"),
        progress="none",
        share=True,
        programs=[f"odd={shlex.join(program(source))}"],
    )
    result = sweep(options)
    assert dict(result.outcomes) == {"ok": 2, "failed": 2}
    assert set(result.logs.values()) == {"why not"}
    runs = wide(Store(tmp_path / "runs").load())
    errors = runs.loc[runs["version"] == "odd", "error"]
    assert errors.str.contains("cpu_ns: expected a 64-bit whole number, got 1.5").all()
