"""The worker process."""

import json
import subprocess
import sys
from typing import Any

import pytest

from pubsub_sim.bench.grid import specification
from pubsub_sim.bench.spec import KINDS, RunSpec
from pubsub_sim.results import METRICS, RUN, Row, RunParameters, RunRecord
from pubsub_sim.results.disturbance import OTHERS_NS, STEAL_NS, WATCHED_NS
from pubsub_sim.scenarios.simple_discovery import PHASES
from tests.bench.processes import LIVES_ON_S, is_worker, wait_until, workers_of

SPEC = {"version": "baseline", "hosts": 3, "messages": 2}
MEASURED = {"asyncmachine", "cython_runtime", "google", "nacl", "pubsub_sim", "uvloop"}


def ask(text: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "pubsub_sim.bench.worker", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_run_gives_one_record_of_whole_numbers(loop: str) -> None:
    """A run answers with one JSON record whose rows fit the table of metrics, on either loop."""
    status, said, _ = ask(json.dumps(SPEC | {"loop": loop}))
    assert (status, said["outcome"], said["error"]) == (0, "ok", "")
    rows = tuple(Row(*row) for row in said["rows"])
    record = RunRecord(parameters=RunParameters(version="baseline", hosts=3, messages=2), outcome="ok", rows=rows)
    assert record.value(RUN, "connections") == 3
    assert record.value(RUN, "deliveries") == 3 * (2 + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_of_the_table_is_measured(kind: str) -> None:
    """An ok run has every metric of its kind: those of a run once, those of a phase in each of the scenario's phases."""
    rows = [Row(*row) for row in ask(json.dumps(SPEC | {"kind": kind}))[1]["rows"]]
    by_parent = {WATCHED_NS, OTHERS_NS, STEAL_NS}  # it watches the machine
    own = {name: one for name, one in METRICS.items() if one.kind in ("", kind) and name not in by_parent}
    assert {row.metric for row in rows if row.phase == RUN} == {name for name, one in own.items() if one.fits(RUN)}
    for phase in PHASES:
        assert {row.metric for row in rows if row.phase == phase} == {
            name for name, one in own.items() if one.fits(phase)
        }


def test_run_is_the_sum_of_its_phases() -> None:
    """Of each metric that both have, the run has the sum over its phases."""
    rows = [Row(*row) for row in ask(json.dumps(SPEC))[1]["rows"]]
    for name in ("wall_ns", "cpu_ns", "rpcs", "tasks_created", "fixed_wait_ns"):
        phases = sum(row.value for row in rows if row.metric == name and row.phase != RUN)
        assert phases == next(row.value for row in rows if row.metric == name and row.phase == RUN)


def test_phases_are_told_on_stderr() -> None:
    """The parent hears of each measured phase, in order, and of no phase of the warm-up."""
    _, _, log = ask(json.dumps(SPEC))
    assert log.splitlines() == [f"phase: {name}" for name in PHASES]


def test_warm_up_is_kept_apart_and_can_be_left_out() -> None:
    """The warm-up has a time of its own, which is 0 without one."""
    with_one, without = (ask(json.dumps(SPEC | {"warmup": warm}))[1]["rows"] for warm in (True, False))
    assert next(value for _, name, value in with_one if name == "warmup_wall_ns") > 0
    assert next(value for _, name, value in without if name == "warmup_wall_ns") == 0


def test_worker_imports_nothing_but_what_is_measured() -> None:
    """A worker that ran has only the standard library, uvloop and what is measured in its memory."""
    code = (
        "import sys; from pubsub_sim.bench import worker; worker.main([]); "
        "sys.stderr.write('modules: ' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(SPEC), capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.rpartition("modules: ")[2].split())
    foreign = {name for name in loaded - sys.stdlib_module_names - MEASURED if not name.startswith(("_", "sitecustom"))}
    assert not {name for name in foreign if not name.startswith("__editable__")}
    assert "asyncmachine" not in loaded


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "specification: expected one JSON object"),
        ("{", "specification: expected one JSON object"),
        ("[1]", "specification: expected one JSON object, got [1]"),
        ("{}", "version: expected a value, as it has no default, got None"),
        (json.dumps(SPEC | {"host": 3}), "host: there is no such parameter, did you mean 'hosts'?"),
        (json.dumps(SPEC | {"hosts": 0}), "hosts: expected a whole number of at least 2, got 0"),
        (json.dumps(SPEC | {"hosts": "many"}), "hosts: expected a whole number of at least 2, got 'many'"),
        (json.dumps(SPEC | {"messages": 0}), "messages: expected a whole number of at least 1, got 0"),
        (
            json.dumps(SPEC | {"version": "original"}),
            "version: expected one of baseline, states, direct, states-rpc, lower-bound, got 'original'",
        ),
        (json.dumps(SPEC | {"loop": "trio"}), "loop: expected 'uvloop' or 'asyncio', got 'trio'"),
        (
            json.dumps(SPEC | {"kind": "cpu"}),
            "kind: expected one of timing, control, whole, field, memory, calls, lag, got 'cpu'",
        ),
        (json.dumps(SPEC | {"warmup": 1}), "warmup: expected true or false, got 1"),
    ],
)
def test_bad_specification_is_one_sentence_and_status_2(text: str, sentence: str) -> None:
    """A specification that cannot be used is one sentence on stderr and in a failed record, and exit status 2."""
    status, said, log = ask(text)
    assert status == 2
    assert log.count("\n") == 1
    assert log.startswith(sentence)
    assert said["outcome"] == "failed"
    assert said["error"] == log.strip()
    assert said["rows"] == [[RUN, "failures", 1]]


def test_specification_reads_back_unchanged() -> None:
    """What a sweep writes for its worker is what the worker reads."""
    spec = RunSpec.from_json(
        specification(RunParameters(version="baseline", hosts=4, messages=3, seed=9, warmup=False))
    )
    assert spec == RunSpec(version="baseline", hosts=4, messages=3, seed=9, warmup=False)
    assert RunSpec.from_json(spec.to_json()) == spec


def test_worker_ends_at_once_if_its_parent_is_gone() -> None:
    """A worker whose parent is not the process that it was told measures nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "pubsub_sim.bench.worker", "1"],
        input=json.dumps(SPEC),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_worker_dies_with_its_parent() -> None:
    """When the parent is killed with -9, no worker is left alive."""
    code = (
        "import sys; from pubsub_sim.bench.process import run_worker; from pubsub_sim.bench.spec import RunSpec; "
        "run_worker(RunSpec(version='baseline', hosts=5, messages=10**7).to_json(), environment={}, limit_s=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    assert wait_until(lambda: workers_of(parent.pid))
    (worker,) = workers_of(parent.pid)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_worker(worker), within_s=LIVES_ON_S)


_FAILING = """
import itertools, json, sys
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.bench.worker import measure
from {module} import {owner}

calls, work = itertools.count(), {owner}.{method}

def fails_once(*arguments):
    if next(calls) == 20:
        raise ZeroDivisionError("a bug")
    return work(*arguments)

{owner}.{method} = fails_once
print(json.dumps(measure(RunSpec(version=sys.argv[1], hosts=3, messages=50, sign="none", warmup=False))))
"""


@pytest.mark.parametrize(
    ("version", "module", "owner", "method"),
    [
        ("baseline", "pubsub_sim.protocol.core", "Core", "publish_message"),  # in a turn
        ("states", "pubsub_sim.protocol.core", "Core", "publish_message"),
        ("baseline", "pubsub_sim.net.memory", "MemoryHost", "_drain"),  # in a callback of the loop
        ("states", "pubsub_sim.net.memory", "MemoryHost", "_drain"),
        ("lower-bound", "pubsub_sim.scenarios.lower_bound", "LowerBoundHost", "take"),
    ],
)
def test_a_run_ends_at_an_error_and_says_which(version: str, module: str, owner: str, method: str) -> None:
    """It does not wait, for a message that will not come, until it is stopped at its limit."""
    script = _FAILING.format(module=module, owner=owner, method=method)
    done = subprocess.run(
        [sys.executable, "-c", script, version], capture_output=True, text=True, check=True, timeout=60
    )
    said = json.loads(done.stdout)
    assert said["outcome"] == "failed"
    assert "ZeroDivisionError: a bug" in said["error"]
    assert said["rows"] == [[RUN, "failures", 1]]
