"""The benchmark scenario on py-libp2p: a program with its own environment that speaks the protocol of `bench.worker`.

Real hosts on loopback TCP with Noise and Yamux, flooding; every host has seen all others before the first message, so a
message costs as many RPCs as anywhere else. It does more than our hosts do, and its description lists that. Imports nothing of this project: it runs where py-libp2p is installed.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import time
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

import trio  # type: ignore[import-not-found] # only in the program's own environment
from libp2p import generate_new_ed25519_identity, new_host  # type: ignore[import-not-found] # likewise
from libp2p.peer.peerinfo import PeerInfo  # type: ignore[import-not-found] # likewise
from libp2p.pubsub.floodsub import PROTOCOL_ID, FloodSub  # type: ignore[import-not-found] # likewise
from libp2p.pubsub.pubsub import Pubsub  # type: ignore[import-not-found] # likewise
from libp2p.tools.anyio_service import background_trio_service  # type: ignore[import-not-found] # likewise
from multiaddr import Multiaddr  # type: ignore[import-not-found] # likewise

TOPIC = "foobar"
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
_WAIT_S = 60


class Phases:
    """Takes the time of phases, and tells the parent where the run is.

    Attributes:
        rows: what each phase took.
        are_over: whether the last one has ended.
    """

    def __init__(self) -> None:
        self.are_over = False
        self.rows: list[tuple[str, str, int]] = []
        self._name = ""
        self._start = (0, 0)

    def begin(self, name: str) -> None:
        """End the phase before, if there is one, and begin the next."""
        self.end()
        sys.stderr.write(f"phase: {name}\n")
        sys.stderr.flush()
        self._name, self._start = name, (time.perf_counter_ns(), time.process_time_ns())

    def end(self) -> None:
        """End the last phase."""
        if self._name:
            for metric, now, start in zip(
                ("wall_ns", "cpu_ns"), (time.perf_counter_ns(), time.process_time_ns()), self._start, strict=True
            ):
                self.rows.append((self._name, metric, now - start))


async def discovery(spec: dict[str, Any], phases: Phases) -> None:
    """Play the scenario once; raises what goes wrong."""
    hosts, rng = spec["hosts"], random.Random(f"{spec['seed']}/publishers")
    async with AsyncExitStack() as stack:
        phases.begin("init")
        nodes = [await _node(stack, is_signed=spec["sign"] == "strict") for _ in range(hosts)]
        phases.begin("subscribe")
        subscriptions = [await pubsub.subscribe(TOPIC) for _, pubsub in nodes]
        phases.begin("barrier")
        with trio.fail_after(_WAIT_S):
            await _meet(nodes)
        phases.begin("first message")
        await _flood(nodes[0][1], subscriptions, b"first message")
        phases.begin("rand msgs")
        for i in range(spec["messages"]):
            await _flood(nodes[rng.randrange(hosts)][1], subscriptions, b"%d the flooooooood %d" % (i, i))
        phases.end()
        phases.are_over = True


async def _node(stack: AsyncExitStack, *, is_signed: bool) -> tuple[Any, Any]:
    address = Multiaddr(LOOPBACK)
    host = new_host(key_pair=generate_new_ed25519_identity(), listen_addrs=[address])
    pubsub = Pubsub(host, FloodSub(protocols=[PROTOCOL_ID]), strict_signing=is_signed)
    await stack.enter_async_context(host.run([address]))
    await stack.enter_async_context(background_trio_service(pubsub))
    await pubsub.wait_until_ready()
    return host, pubsub


async def _meet(nodes: list[tuple[Any, Any]]) -> None:
    """Connect all pairs, the later host dialling, and wait until every host knows every other's subscription."""
    for number, (host, _) in enumerate(nodes):
        for other, _ in nodes[:number]:
            await host.connect(PeerInfo(other.get_id(), list(other.get_transport_addrs())))
    for host, pubsub in nodes:
        for other, _ in nodes:
            if other is not host:
                await pubsub.wait_for_subscription(other.get_id(), TOPIC, timeout=_WAIT_S)
                await pubsub.wait_for_peer(other.get_id(), timeout=_WAIT_S)


async def _flood(publisher: Any, subscriptions: list[Any], payload: bytes) -> None:
    await publisher.publish(TOPIC, payload)
    for number, subscription in enumerate(subscriptions):
        message = await subscription.get()
        if message.data != payload:
            raise RuntimeError(f"host {number} expected {payload!r}, got {message.data!r}")


def refusal(spec: dict[str, Any]) -> str:
    """Give a sentence if this program cannot play what is asked for, as it never plays something else; "" if it can."""
    expected = {"router": "floodsub", "transport": "tcp", "barrier": True}
    wrong = next((name for name, value in expected.items() if spec[name] != value), "")
    return f"{wrong}: expected {json.dumps(expected[wrong])}, got {json.dumps(spec[wrong])}" if wrong else ""


def play(spec: dict[str, Any]) -> dict[str, Any]:
    """Play what is asked for, and give the record."""
    phases = Phases()
    try:
        trio.run(discovery, spec, phases)
    except BaseException as problem:  # groups of exceptions come from the nurseries
        if not phases.are_over:  # its background tasks can trip over each other when they are shut down
            return failure("; ".join(sentences(problem))[:300])
    rpcs = spec["messages"] * (spec["hosts"] - 1) ** 2
    rows = [("run", "failures", 0), *phases.rows, ("rand msgs", "rpcs", rpcs)]
    described = {
        "summary": f"py-libp2p {version('libp2p')} on trio {version('trio')}, whatever loop is asked for; its RPCs are "
        "those of the formula, not counted",
        "machines": [],
        "also": [
            "encrypts all traffic (Noise)",
            "multiplexes streams (Yamux)",
            "sends a signed peer record in each RPC, which the receiver verifies",
        ],
    }
    return {"outcome": "ok", "error": "", "rows": rows, "version": described}


def sentences(problem: BaseException) -> list[str]:
    """Say what went wrong; of a group, what each in it says."""
    if isinstance(problem, BaseExceptionGroup):
        return [text for one in problem.exceptions for text in sentences(one)]
    return [f"{type(problem).__name__}: {' '.join(str(problem).split())}"]


def failure(sentence: str) -> dict[str, Any]:
    """Give the record of a run that failed."""
    return {"outcome": "failed", "error": sentence, "rows": [("run", "failures", 1)], "version": {}}


def end_with(parent: int) -> None:
    """End this process soon after its parent has ended; for a thread of its own."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main(arguments: list[str]) -> int:
    """Read a specification, play, write the record.

    Args:
        arguments: nothing, or the parent's process id as the last one.

    Returns:
        The exit status: 0 for an ok run, 1 for a failed one, 2 for a specification that cannot be used.
    """
    if arguments:
        threading.Thread(target=end_with, args=[int(arguments[-1])], daemon=True).start()
    logging.disable(logging.WARNING)
    spec = json.load(sys.stdin)
    sentence = refusal(spec)
    record = failure(sentence) if sentence else play(spec)
    sys.stdout.write(json.dumps(record))
    sys.stdout.flush()
    return 2 if sentence else int(record["outcome"] != "ok")


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # some of its background tasks do not end by themselves
