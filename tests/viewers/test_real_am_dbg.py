"""Tests with the real am-dbg: what it shows and forwards is exactly what the record of the run says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.export.amdbg.from_record import MachineMessages, messages_of
from asyncmachine.export.amdbg.times import unpack_time
from asyncmachine.export.amdbg_dump import read_dump, write_dump
from asyncmachine.export.amdbg_stream import AmDbgTracer
from asyncmachine.record import Record, Recorder
from tests.asyncmachine.export.debuggers import Debugger
from tests.asyncmachine.export.recorded_program import play
from tests.viewers.am_dbg import AmDbg, binary

pytestmark = pytest.mark.viewers
SIMULATION = Path(__file__).parents[1] / "data/am-dbg/sim-2024.gob.br"
STEPS = {4: "activate", 8: "deactivate", 16: "deactivate-passive", 32: "called", 64: "cancel"}
RELATIONS = ("after", "add", "require", "remove")
Message = dict[str, Any]


def told_by(path: Path) -> dict[str, MachineMessages]:
    with Record.open(path) as record:
        return {told.schema["ID"]: told for told in messages_of(record)}


def test_a_live_run_is_shown_as_recorded(tmp_path: Path) -> None:
    """Counts, the list of machines, the steps of every transition and all forwarded messages agree with the record."""
    binary()
    with Debugger() as stub, AmDbg(tmp_path / "am-dbg", "--fwd-data", stub.address) as am_dbg:
        with Recorder(tmp_path / "run.sqlite", level="full") as recorder, AmDbgTracer(am_dbg.address) as tracer:
            play([recorder, tracer])
            tracer.close(timeout_s=60)
        assert tracer.failure is None
        told = told_by(tmp_path / "run.sqlite")
        am_dbg.wait_until(lambda: listed(am_dbg) == counts(told), "a list of all machines and messages")
        for message in executed(told):
            shows_steps(am_dbg, message)
        shows_last(am_dbg, told)
        assert am_dbg.end() == (len(told), sum(counts(told).values()))
        assert forwarded(stub) == without_times(told)


def test_a_dump_is_shown_as_recorded(tmp_path: Path) -> None:
    """A dump gives the same as the live run, and the times of the record."""
    binary()
    with Recorder(tmp_path / "run.sqlite", level="full") as recorder:
        play([recorder])
    with Record.open(tmp_path / "run.sqlite") as record:
        write_dump(record, tmp_path / "run.gob.br")
    told = told_by(tmp_path / "run.sqlite")
    with AmDbg(tmp_path / "am-dbg", "--import-data", str(tmp_path / "run.gob.br")) as am_dbg:
        am_dbg.wait_until(lambda: set(listed(am_dbg)) == set(told), "a list of all machines")
        for message in executed(told):
            shows_steps(am_dbg, message)
            assert go_time(message["Time"]) == am_dbg.ask("Transition Steps").splitlines()[1]
        shows_last(am_dbg, told)
        assert am_dbg.end() == (len(told), sum(counts(told).values()))


def test_a_simulation_that_went_through_a_record_is_shown(tmp_path: Path) -> None:
    """The dump of 107 machines, loaded into a record and written again, opens with all its transitions."""
    binary()
    read_dump(SIMULATION, tmp_path / "sim.sqlite")
    with Record.open(tmp_path / "sim.sqlite") as record:
        write_dump(record, tmp_path / "sim.gob.br")
    with AmDbg(tmp_path / "am-dbg", "--import-data", str(tmp_path / "sim.gob.br")) as am_dbg:
        am_dbg.wait_until(lambda: len(listed(am_dbg)) == 107, "a list of all machines")
        assert am_dbg.end() == (107, 7605)


def counts(told: dict[str, MachineMessages]) -> dict[str, int]:
    return {machine: len(one.transitions) for machine, one in told.items()}


def listed(am_dbg: AmDbg) -> dict[str, int]:
    """Return the machines of its list and how many messages it has of each."""
    found = re.findall(r"^(?:- )*(\S+) .*\|(\d+)\+?$", am_dbg.get("clients.txt"), re.MULTILINE)
    return {machine: int(count) for machine, count in found}


def executed(told: dict[str, MachineMessages]) -> list[Message]:
    return [message for one in told.values() for message in one.transitions if not message.get("IsQueued")]


def shows_steps(am_dbg: AmDbg, message: Message) -> None:
    """It shows a transition's call and steps, over MCP."""
    address = f"mach://{message['MachineID']}/{message['ID']}"

    def is_there() -> bool:
        am_dbg.ask("GoToMachAddr", url=address)  # asked again, since it is lost while am-dbg is busy
        return am_dbg.ask("Transition Steps").startswith(address)

    am_dbg.wait_until(is_there, f"a move to {address}")
    _, _, _, call, *steps = am_dbg.ask("Transition Steps").rstrip().splitlines()
    assert call.startswith(f"[{('add', 'remove', 'set')[message.get('Type', 0)]}] ")
    assert steps == [f"- {step_text(step)}" for step in message.get("Steps", ())]


def shows_last(am_dbg: AmDbg, told: dict[str, MachineMessages]) -> None:
    """It shows the same in its file of the current transition."""
    last = executed(told)[-1]
    address = f"mach://{last['MachineID']}/{last['ID']}"
    am_dbg.wait_until(lambda: am_dbg.get("tx.md").startswith(address), f"a file about {address}")
    shown = am_dbg.get("tx.md").rstrip().splitlines()
    assert shown[4:] == [f"- {step_text(step)}" for step in last.get("Steps", ())]


def step_text(step: Message) -> str:
    """Return a step in the words of am-dbg."""
    kind, state, start = step["Type"], step.get("ToState", ""), step.get("FromState", "")
    if kind == 1:
        return f"**{start}** {RELATIONS[step.get('RelType', 0)]} **{state}**"
    if kind == 2:
        is_final, is_enter = step.get("IsFinal", False), step.get("IsEnter", False)
        return f"handler **{state}**{('State' if is_enter else 'End') if is_final else 'Enter'}"
    return f"{STEPS[kind]} **{state or start}**"


def forwarded(stub: Debugger) -> dict[str, list[Message]]:
    """Return the messages as Go decoded and sent them on, by machine."""
    found: dict[str, list[Message]] = {}
    for calls in stub.calls:
        for method, body in calls:
            if method == "RPCServer.DbgMsgSchemaFwd":
                found.setdefault(body["MsgStruct"]["ID"], []).insert(0, body["MsgStruct"])
            else:
                message = {name: value for name, value in body["MsgTx"].items() if name != "Time"}
                found.setdefault(message["MachineID"], []).append(message)
    return found


def without_times(told: dict[str, MachineMessages]) -> dict[str, list[Message]]:
    return {
        machine: [one.schema, *({k: v for k, v in message.items() if k != "Time"} for message in one.transitions)]
        for machine, one in told.items()
    }


def go_time(packed: bytes) -> str:
    """Return a time as Go prints it: nanoseconds without zeros at the end."""
    found = unpack_time(packed)
    assert found is not None
    seconds, rest = divmod(found[0], 1_000_000_000)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
