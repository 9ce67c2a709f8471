"""A little recorded run in which everything happens that exporters have to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine import Event, LogLevel, Machine, pipes
from asyncmachine.record import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from asyncmachine.record.format import Level

HOST: dict[str, Any] = {
    "Start": {"add": ["Ready"]},
    "Ready": {"require": ["Start"]},
    "Event": {"multi": True, "require": ["Start"]},
    "Idle": {"remove": ["Busy"]},
    "Busy": {"remove": ["Idle"]},
    "Blocked": {"require": ["Absent"]},
    "Absent": {},
    "Vetoed": {},
    "Broken": {},
    "Follow": {"auto": True, "require": ["Busy"]},
}
DISC: dict[str, Any] = {"Boot": {}, "Found": {"require": ["Boot"]}}


class Host:
    """Handlers of a host: one starts a submachine and queues mutations, one refuses, one fails."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.disc: Machine | None = None

    def ReadyState(self, event: Event) -> None:
        self.disc = Machine(DISC, id=f"ps-{self.number}-disc", parent=event.machine)
        self.disc.add("Boot")
        event.add("Idle")
        event.add("Blocked")

    def EventState(self, event: Event) -> None:
        assert self.disc is not None
        self.disc.add("Found")
        self.disc.remove("Found")

    def VetoedEnter(self, event: Event) -> bool:
        return False

    def BrokenState(self, event: Event) -> None:
        raise ValueError("a broken handler")


def play(path: Path, level: Level = "full") -> None:
    """Record two hosts that exchange two messages, under the spans of a test; the second follows the first when it is busy."""
    facts = {"service": "ps", "seed": 7, "hosts": 2}
    with Recorder(path, level, log=True, attributes=facts) as recorder:
        top = recorder.span("psmon")
        case = top.span("testcase")
        machines = []
        pubsubs = []
        with case.span("init"):
            for number in (1, 2):
                host = top.span(f"host:{number}", host_id=number)
                machine = Machine(HOST, handlers=Host(number), id=f"ps-{number}", log_level=LogLevel.OPS)
                machine.log_args = lambda args: {key: str(value) for key, value in args.items() if key == "msgs"}
                recorder.bind(machine, host)
                machine.add("Start")
                machines.append(machine)
                pubsubs.append(host.span("pubsub"))
        topics = [pubsub.span("topic").span("topic:foobar", topic="foobar") for pubsub in pubsubs]
        pubsubs[0].point("add_peer", peer_id="ps-2")
        with case.span("rand msgs"):
            for message in ("m1", "m2"):
                sent = topics[0].point("publish_msg", flow=message, msg_id=message)
                rpc = pubsubs[0].point("send_rpc", flow=message, link=sent, peer_id="ps-2")
                got = pubsubs[1].point("recv_rpc", flow=message, link=rpc)
                topics[1].point("deliver_msg", flow=message, link=got, msg_id=message)
                machines[1].add("Event", msgs=3)
        pipes.add(machines[0], machines[1], "Busy")
        machines[0].add("Busy")
        machines[0].add("Blocked")
        machines[0].add("Vetoed")
        machines[0].add("Broken")
        machines[0].can_add("Vetoed")
        machines[0].add("Idle")
        for topic in topics:
            topic.end()
        case.end()
        machines[1].dispose()
