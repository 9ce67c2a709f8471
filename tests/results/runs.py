"""Runs written by hand for the tests of the store."""

from dataclasses import replace

from pubsub_sim.results import RUN, Row, RunParameters, RunRecord

PROVENANCE = {
    "sources": "c0ffee",
    "python": "3.11.7",
    "uvloop": "0.23.0",
    "cpu": "A Processor",
    "utc": "2026-01-01T00:00:00Z",
    "load_average": 0.25,
    "environment": {"PYTHONHASHSEED": "0"},
}


def a_run(version: str = "baseline", hosts: int = 5, repeat: int = 1, wall_ns: int = 1_000_003) -> RunRecord:
    """Give an ok run of two phases."""
    return RunRecord(
        parameters=RunParameters(version=version, hosts=hosts, messages=20, repeat=repeat, seed=repeat),
        outcome="ok",
        order=repeat,
        limit_s=3.0,
        rows=(
            Row("init", "wall_ns", wall_ns),
            Row("rand msgs", "wall_ns", 2 * wall_ns),
            Row(RUN, "failures", 0),
            Row(RUN, "wall_ns", 3 * wall_ns),
            Row(RUN, "rpcs", 99),
        ),
        provenance=PROVENANCE,
        version={"summary": f"the {version} one", "machines": []},
    )


def a_failure(version: str = "states", outcome: str = "timeout") -> RunRecord:
    """Give a run that left nothing but its failure."""
    return replace(
        a_run(version),
        outcome=outcome,
        error="it stopped",
        rows=(Row(RUN, "failures", 1),),
    )
