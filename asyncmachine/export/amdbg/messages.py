"""The messages of am-dbg, with their fields in the order of asyncmachine-go 0.19.1.

Two dialects of transitions exist. "2026", sent by the current library: states by number, relations and handlers by number and flags,
the length and tick of the queue, arguments. "2024", in dumps of mid-2024: states by name, relations and handler names in `Step.Data`,
no ticks, no queued mutations. In gob a zero field is absent, so an absent number is state 0, and "no state" is an explicit -1.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal

from asyncmachine.export.gob import BOOL, INT, INTERFACE, STRING, UINT, Interface, Map, Opaque, Slice, Struct
from asyncmachine.record.format import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Message = dict[str, Any]
Dialect = Literal["2024", "2026"]
Lines = list[tuple[int, str]]
"""Log lines: level and text."""

KINDS: Final = ("add", "remove", "set", "eval")
RELATIONS: Final = ("after", "add", "require", "remove")
RELATION, HANDLER, ACTIVATE, DEACTIVATE, MISSING, CALLED, CANCEL = 1, 2, 4, 8, 16, 32, 64
STEP_KINDS: Final = {
    CALLED: "called",
    ACTIVATE: "activate",
    DEACTIVATE: "deactivate",
    MISSING: "missing",
    CANCEL: "cancel",
}
_CODES: Final = {kind: code for code, kind in STEP_KINDS.items()}
RELATION_TYPE: Final = "github.com/pancsta/asyncmachine-go/pkg/machine.Relation"

_STRINGS = Slice(STRING, "[]string")
_NAMES = Slice(STRING, "S")
STATE: Final = Struct(
    "",
    [
        ("Auto", BOOL), ("Multi", BOOL), ("Require", _NAMES), ("Add", _NAMES), ("Remove", _NAMES), ("After", _NAMES), ("Tags", _STRINGS),
    ],
)  # fmt: skip
SCHEMA: Final = Struct(
    "DbgMsgStruct",
    [
        ("ID", STRING), ("StatesIndex", _NAMES), ("States", Map(STRING, STATE, "Schema")), ("Groups", Map(STRING, Slice(INT), "map[string][]int")),
        ("GroupsOrder", _STRINGS), ("Parent", STRING), ("Tags", _STRINGS),
    ],
)  # fmt: skip
STEP: Final = Struct(
    "",
    [
        ("Type", INT), ("RelType", INT), ("IsFinal", BOOL), ("IsSelf", BOOL), ("IsEnter", BOOL), ("FromState", STRING),
        ("FromStateIdx", INT), ("ToState", STRING), ("ToStateIdx", INT), ("Data", INTERFACE),
    ],
)  # fmt: skip
_ENTRIES = Slice(Struct("", [("Level", INT), ("Text", STRING)]), "[]*machine.LogEntry")
TRANSITION: Final = Struct(
    "DbgMsgTx",
    [
        ("MachineID", STRING), ("ID", STRING), ("Clocks", Slice(UINT, "Time")), ("QueueTick", UINT), ("MutQueueToken", UINT),
        ("MutQueueTick", UINT), ("Type", INT), ("CalledStates", _STRINGS), ("CalledStatesIdxs", Slice(INT)),
        ("Steps", Slice(STEP, "[]*machine.Step")), ("LogEntries", _ENTRIES), ("PreLogEntries", _ENTRIES), ("Queue", INT),
        ("Time", Opaque("Time")), ("IsAuto", BOOL), ("Accepted", BOOL), ("IsCheck", BOOL), ("IsQueued", BOOL),
        ("Args", Map(STRING, STRING, "map[string]string")), ("QueueDump", _STRINGS), ("StackTrace", STRING),
    ],
)  # fmt: skip
DUMP: Final = Slice(
    Struct("", [("MsgStruct", SCHEMA), ("MsgTxs", Slice(TRANSITION, "[]*dbg.DbgMsgTx")), ("Version", STRING)])
)
REQUEST: Final = Struct("Request", [("ServiceMethod", STRING), ("Seq", UINT)])
RESPONSE: Final = Struct("Response", [("ServiceMethod", STRING), ("Seq", UINT), ("Error", STRING)])
SEND_SCHEMA: Final = "RPCServer.DbgMsgSchema"
SEND_TRANSITION: Final = "RPCServer.DbgMsgTx"

_FIELDS = {
    "auto": "Auto",
    "multi": "Multi",
    "require": "Require",
    "add": "Add",
    "remove": "Remove",
    "after": "After",
    "tags": "Tags",
}


def transition_id(machine: str, number: int) -> str:
    """Return the id of a transition in am-dbg: 16 hexadecimal digits, deterministic."""
    return hashlib.blake2b(f"{machine}-{number}".encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


# schemas


def schema_message(
    machine: str, states: Mapping[str, Mapping[str, Any]], parent: str = "", tags: Sequence[str] = ()
) -> Message:
    """Return the message that announces a machine.

    Args:
        machine: Its id.
        states: State -> relations and flags, in state order.
        parent: Id of its parent.
        tags: Its tags.
    """
    message: Message = {
        "ID": machine,
        "StatesIndex": list(states),
        "States": {name: {_FIELDS[key]: value for key, value in data.items()} for name, data in states.items()},
        "Parent": parent,
        "Tags": list(tags),
    }
    return sent(message)


def states_of(message: Message) -> dict[str, dict[str, Any]]:
    """Return a schema message's states in the format of `schema_message`, in state order."""
    known = message.get("States", {})
    return {
        name: {key: known[name][field] for key, field in _FIELDS.items() if field in known.get(name, {})}
        for name in message.get("StatesIndex", ())
    }


def sent(message: Message) -> Message:
    """Return a message as received: without zero fields, but with empty maps."""
    return {name: value for name, value in message.items() if value or isinstance(value, dict)}


# transitions


def transition_message(
    machine: str,
    *,
    tx: str,
    clocks: Sequence[int],
    number: int,
    queue_tick: int,
    queue: int,
    kind: str,
    called: Sequence[int],
    is_auto: bool,
    is_check: bool,
    accepted: bool,
    steps: Iterable[Message] = (),
    log: Sequence[tuple[int, str]] = (),
    log_before: Sequence[tuple[int, str]] = (),
    args: Mapping[str, str] | None = None,
) -> Message:
    """Return the message of a completed transition.

    Args:
        machine: The machine's id.
        tx: The transition's id.
        clocks: All ticks after it.
        number: The mutation's sequence number, negative if it was prepended.
        queue_tick: The machine's queue tick at its end.
        queue: Length of the queue after it.
        kind: "add", "remove" or "set".
        called: Numbers of the called states.
        is_auto: Whether the machine made it for its Auto states.
        is_check: Whether it is a dry run.
        accepted: Whether it was not refused.
        steps: Messages of its steps.
        log: Log lines inside it.
        log_before: Log lines since the previous transition.
        args: Its loggable arguments.
    """
    return sent(
        {
            "MachineID": machine,
            "ID": tx,
            "Clocks": list(clocks),
            "QueueTick": queue_tick,
            "MutQueueToken": max(-number, 0),
            "Type": KINDS.index(kind),
            "CalledStatesIdxs": list(called),
            "Steps": list(steps),
            "LogEntries": entries(log),
            "PreLogEntries": entries(log_before),
            "Queue": queue,
            "IsAuto": is_auto,
            "Accepted": accepted,
            "IsCheck": is_check,
            "Args": dict(args or {}),
        }
    )


def queued_message(
    machine: str,
    *,
    tx: str,
    clocks: Sequence[int],
    number: int,
    queue_tick: int,
    queue: int,
    kind: str,
    called: Sequence[int],
    is_auto: bool,
    is_check: bool,
    args: Mapping[str, str],
) -> Message:
    """Return the message of a queued mutation; takes the arguments of `transition_message`."""
    return sent(
        {
            "MachineID": machine,
            "ID": tx,
            "Clocks": list(clocks),
            "QueueTick": queue_tick,
            "MutQueueToken": max(-number, 0),
            "MutQueueTick": max(number, 0),
            "Type": KINDS.index(kind),
            "CalledStatesIdxs": list(called),
            "Queue": queue,
            "IsAuto": is_auto,
            "Accepted": True,
            "IsCheck": is_check,
            "IsQueued": True,
            "Args": dict(args),
        }
    )


def entries(lines: Sequence[tuple[int, str]]) -> list[Message]:
    """Return log lines as messages."""
    return [sent({"Level": int(level), "Text": text}) for level, text in lines]


# steps


def step_messages(steps: Iterable[Step], names: Sequence[str]) -> Iterator[Message]:
    """Yield the messages of steps.

    Args:
        steps: The steps.
        names: All states of the machine.
    """
    for step in steps:
        if step.kind == "relation":
            yield _relation(step.state, step.other, step.relation)
        elif step.kind == "missing":
            if step.other:
                yield _relation(step.state, step.other, step.relation or "require")
            yield {"Type": MISSING, "FromState": step.state, "ToStateIdx": -1}
        elif step.kind == "handler":
            message = _handler(step.handler, step.state, names)
            if message:
                yield message
        elif step.kind in _CODES:
            yield {"Type": _CODES[step.kind], "FromStateIdx": -1, "ToState": step.state}


def _relation(state: str, other: str, relation: str) -> Message:
    return sent({"Type": RELATION, "RelType": _relation_code(relation), "FromState": state, "ToState": other})


def _relation_code(relation: str) -> int:
    return RELATIONS.index(relation) if relation in RELATIONS else 0


def _handler(handler: str, state: str, names: Sequence[str]) -> Message | None:
    """Return the message of a handler; None for AnyEnter and AnyState, since "Any" is not a state am-dbg can show."""
    known = set(names)
    for suffix, flags in (("Enter", ("IsEnter",)), ("State", ("IsFinal", "IsEnter")), ("End", ("IsFinal",))):
        if handler == state + suffix and state in known:
            return {"Type": HANDLER, **dict.fromkeys(flags, True), "FromStateIdx": -1, "ToState": state}
    if handler == state + "Exit" and state in known:
        return {"Type": HANDLER, "FromState": state, "ToStateIdx": -1}
    if handler == state + state:
        return {"Type": HANDLER, "IsSelf": True, "FromStateIdx": -1, "ToState": state}
    first = handler.removesuffix(state)
    if first in known and state in known:
        return {"Type": HANDLER, "FromState": first, "ToState": state}
    return None


def old_step_messages(steps: Iterable[Step]) -> Iterator[Message]:
    """Yield the messages of steps in the dialect of 2024."""
    for step in steps:
        if step.kind == "relation":
            relation = Interface(RELATION_TYPE, INT, _relation_code(step.relation))
            yield {"Type": RELATION, "FromState": step.state, "ToState": step.other, "Data": relation}
        elif step.kind == "missing":
            yield {"Type": MISSING, "FromState": step.state}
        elif step.kind == "handler":
            data = Interface("string", STRING, step.handler)
            if step.handler == step.state + "Enter":
                yield {"Type": HANDLER, "ToState": step.state, "Data": data}
            elif step.handler == step.state + "Exit":
                yield {"Type": HANDLER, "FromState": step.state, "Data": data}
            else:
                flags = (
                    {"IsFinal": True, "IsEnter": True} if step.handler == step.state + "State" else {"IsFinal": True}
                )
                yield {"Type": HANDLER, "FromState": step.state, "Data": data, **flags}
        elif step.kind in _CODES:
            yield {"Type": _CODES[step.kind], "ToState": step.state}


def step_of(message: Message, names: Sequence[str], dialect: Dialect) -> Step:
    """Return the step described by a message.

    Args:
        message: The message.
        names: All states of the machine.
        dialect: Its dialect.
    """
    kind = message.get("Type", 0)
    absent = 0 if dialect == "2026" else -1
    start, end = [
        message.get(f"{side}State") or _at(names, message.get(f"{side}StateIdx", absent)) for side in ("From", "To")
    ]
    data = message.get("Data")
    value = data.value if data is not None else None
    if kind == RELATION:
        code = value if isinstance(value, int) else message.get("RelType", 0)
        relation = RELATIONS[code] if 0 <= code < len(RELATIONS) else ""
        return Step("relation", start, end, relation)
    if kind == HANDLER:
        return Step(
            "handler", end or start, handler=value if isinstance(value, str) else _handler_name(message, start, end)
        )
    return Step(STEP_KINDS.get(kind, ""), end or start)


def _at(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else ""


def _handler_name(message: Message, start: str, end: str) -> str:
    if message.get("IsSelf"):
        return end + end
    if start and end:
        return start + end
    is_final, is_enter = message.get("IsFinal", False), message.get("IsEnter", False)
    suffix = ("State" if is_enter else "End") if is_final else ("Enter" if is_enter else "Exit")
    return (end or start) + suffix
