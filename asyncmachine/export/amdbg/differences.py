"""The parts of a dump's messages that the rows of a record cannot represent, stored separately so that nothing is lost.

A difference is `{"set": {field: value}, "drop": [field, ...]}`, as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine.export.gob import Interface
from asyncmachine.export.gob.types import BASICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.export.amdbg.messages import Message

_BASICS = {basic.name: basic for basic in BASICS}


class UnsupportedValueError(Exception):
    """A value that does not occur in dumps of am-dbg: an interface with more than a plain value."""


def differences(schema: tuple[Message, Message], transitions: Sequence[tuple[Message, Message]]) -> dict[str, Any]:
    """Return the differences between generated and original messages of a machine.

    Args:
        schema: The schema's message as generated from the record, and the original.
        transitions: The same for each transition.

    Raises:
        UnsupportedValueError: A value cannot be stored.
    """
    found: dict[str, Any] = {}
    if schema[0] != schema[1]:
        found["schema"] = _difference(*schema)
    changed = {str(at): _difference(*pair) for at, pair in enumerate(transitions) if pair[0] != pair[1]}
    if changed:
        found["messages"] = changed
    return found


def apply_differences(schema: Message, transitions: Sequence[Message], found: dict[str, Any]) -> None:
    """Restore a machine's original messages in place."""
    _apply(schema, found.get("schema", {}))
    for at, difference in found.get("messages", {}).items():
        _apply(transitions[int(at)], difference)


def _difference(told: Message, original: Message) -> dict[str, Any]:
    changed = {name: _plain(value) for name, value in original.items() if name not in told or told[name] != value}
    dropped = [name for name in told if name not in original]
    return {"set": changed, "drop": dropped}


def _apply(message: Message, difference: dict[str, Any]) -> None:
    message.update({name: _restored(value) for name, value in difference.get("set", {}).items()})
    for name in difference.get("drop", ()):
        del message[name]


def _plain(value: Any) -> Any:
    """Return a value in JSON's types; all but scalars are tagged with their original type."""
    if isinstance(value, Interface):
        if value.type not in _BASICS.values() or isinstance(value.value, complex):
            raise UnsupportedValueError
        return ["interface", value.name, repr(value.type), _plain(value.value)]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, list):
        return ["list", *map(_plain, value)]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    kind, *rest = value
    if kind == "bytes":
        return bytes.fromhex(rest[0])
    if kind == "interface":
        return Interface(rest[0], _BASICS[rest[1]], _restored(rest[2]))
    return [_restored(item) for item in rest]
