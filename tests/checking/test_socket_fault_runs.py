"""Faults of sockets and hosts over libp2p, on wall time: both versions keep their promises, and defects are found out."""

from __future__ import annotations

import pytest

from pubsub_sim.bench.faults import replay_command
from pubsub_sim.checking.fault_runs import FaultRun, fault_run
from pubsub_sim.libp2p.yamux import Session
from pubsub_sim.libp2p.yamux_streams import YamuxStream
from tests.checking.test_fault_runs import ill, selfish


def test_promises_are_kept_over_sockets_too(version: str) -> None:
    """Cut connections, dials at once, broken streams, stopped readers, a crash: nothing is lost without a cause."""
    options = FaultRun(version=version, router="floodsub", seed=1, kind="sockets")
    assert fault_run(options) == [], replay_command(options)


def test_a_defect_of_one_host_is_found_out_over_sockets() -> None:
    """By the same oracle."""
    broken = fault_run(
        FaultRun(version="baseline", router="floodsub", seed=1, kind="sockets"), ill("baseline", selfish)
    )
    assert any("did not send it to host" in line for line in broken), broken


def test_a_muxer_that_loses_data_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fiftieth write to a stream is dropped: some RPC is missing, or a stream makes no sense any more."""
    write, count = Session.write, 0

    def write_most(self: Session, stream: YamuxStream, data: bytes, more: bytes = b"") -> None:
        nonlocal count
        count += 1
        if count % 50 or not more:
            write(self, stream, data, more)

    monkeypatch.setattr(Session, "write", write_most)
    assert fault_run(FaultRun(version="states", router="floodsub", seed=1, kind="sockets")) != []
