"""Recording changes nothing, equal runs leave equal records, and both versions decide the same."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.record import Record, Recorder
from pubsub_sim import HostParams, World, run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.net.clock import clock_of
from pubsub_sim.protocol.router import Router
from pubsub_sim.recording.decisions import compare_decisions
from pubsub_sim.recording.worlds import WorldRecorder
from pubsub_sim.scenarios.simple_discovery import SimpleDiscovery, go_on, simple_discovery
from pubsub_sim.world.routers import router_maker
from pubsub_sim.world.trace import digest
from tests.recording.runs import played

SEEDS = range(3)
ROUTERS = ["floodsub", "randomsub", "gossipsub"]


def traced(version: str, seed: int, router: str, record: Path | None, level: str = "full") -> str:
    """Play TestSimpleDiscovery with the world's own trace kept; its digest."""
    options = SimpleDiscovery(version=version, hosts=5, messages=6, router=router, seed=seed)
    worlds: list[World] = []

    async def main() -> None:
        clock = clock_of(asyncio.get_running_loop())
        if record is None:
            await simple_discovery(options, lambda _: nullcontext(), go_on, plain)
            return
        with Recorder(record, level, log=True, loop_time_ns=clock.now_ns) as recorder:  # type: ignore[arg-type]
            scene = WorldRecorder(recorder, level, log=True)  # type: ignore[arg-type]

            def watched(hosts: int, **arguments: Any) -> World:
                worlds.append(scene.make_world(hosts, **arguments | {"trace": True}))
                return worlds[0]

            await simple_discovery(options, scene.phase, go_on, watched)

    def plain(hosts: int, **arguments: Any) -> World:
        worlds.append(World(hosts, **arguments | {"trace": True}))
        return worlds[0]

    run(main(), clock="virtual")
    assert len(worlds[0].trace) > 200
    return digest(worlds[0].trace)


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_recording_changes_no_decision(version: str, seed: int, router: str, tmp_path: Path) -> None:
    """The world's own trace, times included, is the same to the last byte with a recorder that keeps everything."""
    assert traced(version, seed, router, None) == traced(version, seed, router, tmp_path / "run.sqlite")


@pytest.mark.parametrize("level", ["changes", "ops"])
def test_nor_does_it_at_other_levels(version: str, level: str, tmp_path: Path) -> None:
    """Each level binds other hooks of the machines."""
    assert traced(version, 1, "gossipsub", None) == traced(version, 1, "gossipsub", tmp_path / "run.sqlite", level)


@pytest.mark.parametrize("scenario", ["simple_discovery", "one_message"])
@pytest.mark.parametrize("seed", SEEDS)
def test_two_runs_with_one_seed_leave_equal_records(scenario: str, version: str, seed: int, tmp_path: Path) -> None:
    """Machines, transitions, spans and points, with their virtual times; other seeds part."""
    paths = [tmp_path / name for name in ("one", "other", "another")]
    for path, number in zip(paths, (seed, seed, seed + 1), strict=True):
        played(path, scenario=scenario, version=version, seed=number)
    with Record.open(paths[0]) as one, Record.open(paths[1]) as other, Record.open(paths[2]) as another:
        assert one.diff(other) is None
        assert compare_decisions(one, other) is None
        assert one.diff(another) is not None
        assert compare_decisions(one, another) is not None


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_both_versions_decide_the_same(seed: int, router: str, tmp_path: Path) -> None:
    """Host by host what the baseline decides is what the states decide, at the same virtual times."""
    for version in ("baseline", "states"):
        played(tmp_path / version, version=version, hosts=7, router=router, seed=seed)
    with Record.open(tmp_path / "baseline") as one, Record.open(tmp_path / "states") as other:
        assert compare_decisions(one, other) is None


def test_they_do_with_one_message_too(tmp_path: Path) -> None:
    """The other scenario."""
    for version in ("baseline", "states"):
        played(tmp_path / version, version=version, hosts=5, scenario="one_message")
    with Record.open(tmp_path / "baseline") as one, Record.open(tmp_path / "states") as other:
        assert compare_decisions(one, other) is None


def test_versions_differ_in_what_is_no_decision(tmp_path: Path) -> None:
    """A difference of records is found where there is one: machines here, operations of a loop there."""
    for version in ("baseline", "states"):
        played(tmp_path / version, version=version)
    with Record.open(tmp_path / "baseline") as one, Record.open(tmp_path / "states") as other:
        assert one.diff(other) is not None


def planted(path: Path, version: str, *, loses: bool) -> None:
    """A run in which host 1, if it `loses`, does not pass on the second message that reaches it."""
    make = router_maker("floodsub")

    def router(number: int, peer_ids: Any) -> Router:
        made = make(number, peer_ids, HostParams())
        if number == 1 and loses:
            publish, passed_on = made.publish, 0

            def lossy(message: Any) -> None:
                nonlocal passed_on
                is_own = message.received_from == peer_ids[1]
                passed_on += not is_own
                if is_own or passed_on != 2:
                    publish(message)

            made.publish = lossy  # type: ignore[method-assign]
        return made

    async def main() -> None:
        clock = clock_of(asyncio.get_running_loop())
        with Recorder(path, "full", loop_time_ns=clock.now_ns) as recorder:
            scene = WorldRecorder(recorder, "full")

            def changed(hosts: int, **arguments: Any) -> World:
                return scene.make_world(hosts, **arguments | {"router": router})

            options = SimpleDiscovery(version=version, hosts=4, messages=6)
            await simple_discovery(options, scene.phase, go_on, changed)
            scene.close("ok")

    run(main(), clock="virtual")


def test_a_planted_change_is_named(tmp_path: Path) -> None:
    """The first decision in which the runs part: host, place, and what each did."""
    planted(tmp_path / "baseline", "baseline", loses=False)
    planted(tmp_path / "same", "states", loses=False)
    planted(tmp_path / "changed", "states", loses=True)
    with Record.open(tmp_path / "baseline") as one:
        with Record.open(tmp_path / "same") as other:
            assert compare_decisions(one, other) is None
        with Record.open(tmp_path / "changed") as other:
            found = compare_decisions(one, other)
            assert found is not None
            assert found.host == 1
            told = [dict(decision.facts)["rpc"] for decision in (found.one, found.other) if decision is not None]
            assert told == ["message b'0 the flooooooood 0'", "message b'1 the flooooooood 1'"]
            assert str(found).startswith("host 1 decides differently: send_rpc (bytes 148, peer 2, rpc message b'0 the")


def test_a_planted_driver_is_recorded_as_it_is(tmp_path: Path) -> None:
    """A driver that a scenario brings along is wrapped, not replaced."""
    made: list[int] = []

    def counting(seat: Any) -> Any:
        made.append(seat.number)
        return driver_factory("states")(seat)

    async def main() -> None:
        with Recorder(tmp_path / "run.sqlite") as recorder:
            scene = WorldRecorder(recorder, "changes")
            async with scene.make_world(3, version="states", make_driver=counting):
                pass
            scene.close("ok")

    run(main(), clock="virtual")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert made == [0, 1, 2]
        assert [machine.id for machine in record.machines if machine.parent is None] == ["ps-0", "ps-1", "ps-2"]


def test_on_wall_time_order_alone_counts(tmp_path: Path) -> None:
    """Two hosts over sockets take turns with each other, so that two runs decide alike, whenever it was."""
    for name in ("one", "other"):
        assert played(tmp_path / name, hosts=2, messages=3, clock="wall", scenario="simple_discovery").outcome == "ok"
    with Record.open(tmp_path / "one") as one, Record.open(tmp_path / "other") as other:
        assert compare_decisions(one, other) is None
