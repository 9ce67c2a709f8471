"""The check that the runs of a pair did the same work."""

from dataclasses import replace

from pubsub_sim.bench.equal_work import as_failed, unequal
from pubsub_sim.results import RUN, Row, RunParameters, RunRecord


def a_run(version: str, rpcs: int = 100, connections: int = 10, **more: object) -> RunRecord:
    parameters = replace(RunParameters(version=version, hosts=5, messages=20), **more)  # type: ignore[arg-type]
    rows = (Row(RUN, "failures", 0), Row(RUN, "rpcs", rpcs), Row(RUN, "connections", connections))
    return RunRecord(parameters=parameters, outcome="ok", rows=rows)


def test_equal_work_is_no_failure() -> None:
    """Runs with equal RPC counts and all connections are left alone."""
    assert unequal([a_run("baseline"), a_run("states"), a_run("baseline", kind="control")]) == {}


def test_different_rpc_counts_fail_all_runs_of_the_pair() -> None:
    """If the RPC counts differ, each run of the pair fails with all counts in its sentence."""
    runs = [a_run("baseline"), a_run("states", rpcs=101), a_run("baseline", kind="control")]
    sentence = (
        "unequal work: the runs of a pair sent different numbers of RPCs "
        "(baseline 100, baseline (control) 100, states 101)"
    )
    assert unequal(runs) == {run.parameters: sentence for run in runs}


def test_missing_connection_fails_the_run() -> None:
    """A run with fewer connections than pairs of hosts fails, and only that run."""
    bad = a_run("states", connections=9)
    assert unequal([a_run("baseline"), bad]) == {
        bad.parameters: "unequal work: 5 hosts must have 10 connections, this run had 9"
    }


def test_work_is_not_compared_where_it_may_differ() -> None:
    """Without the barrier, over sockets and with another router the counts may differ."""
    for more in ({"barrier": False}, {"transport": "tcp"}, {"router": "gossipsub"}):
        assert unequal([a_run("baseline", **more), a_run("states", rpcs=101, **more)]) == {}


def test_failed_runs_take_no_part() -> None:
    """A run that failed already is not compared with the others."""
    failed = as_failed(a_run("states", rpcs=1, connections=0), "it broke")
    assert unequal([a_run("baseline"), failed]) == {}


def test_run_made_a_failure_keeps_its_numbers() -> None:
    """Marking a run as failed changes its outcome and its failures row and keeps the rest."""
    failed = as_failed(a_run("states", rpcs=7), "it broke")
    assert (failed.outcome, failed.error) == ("failed", "it broke")
    assert failed.value(RUN, "failures") == 1
    assert failed.value(RUN, "rpcs") == 7
