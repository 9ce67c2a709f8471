"""Runs in which users' code fails and users cancel their calls: both versions keep their promises, and who breaks one is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pubsub_sim.bench.faults import FaultSearch, replay_command, told
from pubsub_sim.checking.fault_runs import ROUTERS, FaultRun, fault_run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.flags import from_flags
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.protocol.operations import Request

SEEDS = range(4)
Defect = Callable[[HostContext, Driver], None]


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_promises_are_kept_whatever_users_do(version: str, router: str, seed: int) -> None:
    """No hang, no lost task, no handle left, no host ended, and the same in both versions."""
    options = FaultRun(version=version, router=router, seed=seed, kind="users")
    assert fault_run(options) == [], replay_command(options)


def forgetting_undo(context: HostContext, driver: Driver) -> None:
    """Leaves what a cancelled request did."""
    driver._undo = lambda request: None  # type: ignore[attr-defined]


def losing_a_request(context: HostContext, driver: Driver) -> None:
    """Never answers the tenth request."""
    ask, count = driver.ask, 0

    async def ask_most(request: Request[Any]) -> Any:
        nonlocal count
        count += 1
        if count == 10:
            await asyncio.get_running_loop().create_future()
        return await ask(request)

    driver.ask = ask_most  # type: ignore[method-assign]


def losing_a_task(context: HostContext, driver: Driver) -> None:
    """Starts a task of its own that never ends."""
    start = driver.start

    async def for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    def start_both() -> None:
        start()
        context.core.lost = asyncio.ensure_future(for_ever())  # type: ignore[attr-defined]

    driver.start = start_both  # type: ignore[method-assign]


def deaf(context: HostContext, driver: Driver) -> None:
    """Drops every RPC."""
    driver.offer_rpc = lambda peer, rpc: True  # type: ignore[method-assign]


def trusting(context: HostContext, driver: Driver) -> None:
    """Lets users' code end the host."""
    context.core.message_ids.of_received = context.core.message_ids.of  # type: ignore[method-assign]


def answering_a_round_later(context: HostContext, driver: Driver) -> None:
    """Takes another number of rounds for its answers."""
    ask = driver.ask

    async def ask_and_wait(request: Request[Any]) -> Any:
        answer = await ask(request)
        await asyncio.sleep(0)
        return answer

    driver.ask = ask_and_wait  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("defect", "sentence"),
    [
        (forgetting_undo, "TopicExists|are left of calls|cannot be closed"),
        (losing_a_request, "Deadlock|horizon"),
        (losing_a_task, "left 0 connections and tasks"),
        (deaf, "did not|in the end, and not what all published"),
        (trusting, "Planted|OSError|OperationRefused"),
        (answering_a_round_later, "calls: states and baseline differ|are left of calls"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_defect_of_one_host_is_found_out(defect: Defect, sentence: str) -> None:
    """In one of a few seeds."""
    make = driver_factory("states")

    def ill(context: HostContext) -> Driver:
        driver = make(context)
        if context.number == 0:
            defect(context, driver)
        return driver

    found: list[str] = []
    for seed in range(8):
        found += fault_run(FaultRun(version="states", router="floodsub", seed=seed, kind="users"), ill)
        if any(part in line for line in found for part in sentence.split("|")):
            return
    raise AssertionError(found)


def test_a_failure_is_told_with_the_command_that_plays_it_again() -> None:
    """The kind of faults is in it."""
    run = FaultRun(version="states", router="gossipsub", seed=17, kind="users")
    lines = told(run, ["host 3 sang"]).splitlines()
    assert lines[0] == "states, gossipsub, seed 17, users: failed"
    words = lines[2].removeprefix("  again: python -m pubsub_sim ").split()
    search: FaultSearch = from_flags(FaultSearch, "faults", "", words[1:])
    assert search.runs == [run]


def test_a_search_of_both_kinds_plays_each_seed_of_each() -> None:
    """A thousand runs per version of each kind."""
    runs = FaultSearch(kinds=("network", "users"), versions=("states",)).runs
    assert len(set(runs)) == 2000
    assert sum(run.kind == "users" for run in runs) == 1000
