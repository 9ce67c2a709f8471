"""An encoder of gob streams. Types are defined at their first use."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncmachine.export.gob.types import (
    BOOL,
    BYTES,
    COMPLEX,
    FIRST_ID,
    FLOAT,
    INT,
    INTERFACE,
    STRING,
    UINT,
    WIRE,
    Array,
    Basic,
    GobError,
    Interface,
    Map,
    Opaque,
    Slice,
    Struct,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_Write: TypeAlias = "Callable[[bytearray, Any], None]"


class Encoder:
    """The encoder of one gob stream: `encode` returns the next value's bytes, preceded by new type definitions."""

    def __init__(self) -> None:
        self._ids: dict[Type, int] = {}
        self._sent: dict[Type, None] = {}
        self._writers: dict[Type, _Write] = {**_WRITE, INTERFACE: self._interface}
        self._out = bytearray()

    def encode(self, kind: Type, value: Any) -> bytes:
        """Return the next bytes of the stream.

        Raises:
            GobError: The value does not fit the type; the state of the stream is unchanged.
        """
        sent = len(self._sent)
        self._out = bytearray()
        try:
            body = self._body(kind, value)
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            while len(self._sent) > sent:
                self._sent.popitem()
            raise GobError(str(error)) from error
        self._append(body)
        return bytes(self._out)

    def _body(self, kind: Type, value: Any) -> bytearray:
        """Define the type if necessary, and return its number followed by the value."""
        self._introduce(kind)
        body = bytearray()
        write_int(body, self._id(kind))
        self._value(body, kind, value)
        return body

    def _append(self, body: bytearray) -> None:
        write_uint(self._out, len(body))
        self._out += body

    def _id(self, kind: Type) -> int:
        """Return a type's number; new types are numbered from the outside in."""
        if isinstance(kind, Basic):
            return kind.id
        if kind not in self._ids:
            self._ids[kind] = FIRST_ID + len(self._ids)
            for inner in _inner(kind):
                self._id(inner)
        return self._ids[kind]

    def _introduce(self, kind: Type) -> None:
        """Define a type and those inside it, each once."""
        if isinstance(kind, Basic) or kind in self._sent:
            return
        body = bytearray()
        write_int(body, -self._id(kind))
        self._writer(WIRE)(body, self._wire(kind))
        self._sent[kind] = None
        self._append(body)
        for inner in _inner(kind):
            self._introduce(inner)

    def _wire(self, kind: Type) -> dict[str, Any]:
        common = {"Name": kind.name, "Id": self._id(kind)}
        if isinstance(kind, Struct):
            fields = [{"Name": name, "Id": self._id(field)} for name, field in kind.fields]
            return {"StructT": {"CommonType": common, "Field": fields}}
        if isinstance(kind, Map):
            return {"MapT": {"CommonType": common, "Key": self._id(kind.key), "Elem": self._id(kind.elem)}}
        if isinstance(kind, Array):
            return {"ArrayT": {"CommonType": common, "Elem": self._id(kind.elem), "Len": kind.length}}
        if isinstance(kind, Slice):
            return {"SliceT": {"CommonType": common, "Elem": self._id(kind.elem)}}
        assert isinstance(kind, Opaque)
        return {f"{kind.how}T": {"CommonType": common}}

    def _value(self, out: bytearray, kind: Type, value: Any) -> None:
        if not isinstance(kind, Struct):
            out.append(0)
        self._writer(kind)(out, value)

    def _interface(self, out: bytearray, value: Interface | None) -> None:
        if value is None:
            out.append(0)
            return
        name, kind, inner = value
        if not name:
            raise ValueError("a value of an interface without the name of its type")
        self._introduce(kind)
        _write_string(out, name)
        write_int(out, self._id(kind))
        body = bytearray()
        self._value(body, kind, inner)
        _write_bytes(out, body)

    def _writer(self, kind: Type) -> _Write:
        write = self._writers.get(kind)
        if write is None:
            self._writers[kind] = lambda out, value: self._writers[kind](out, value)  # a type may contain itself
            write = self._writers[kind] = self._compile(kind)
        return write

    def _compile(self, kind: Type) -> _Write:
        if isinstance(kind, Struct):
            return _struct_writer(kind, [(name, self._writer(field), field) for name, field in kind.fields])
        if isinstance(kind, Map):
            return _map_writer(self._writer(kind.key), self._writer(kind.elem))
        if isinstance(kind, Slice | Array):
            return _list_writer(self._writer(kind.elem), kind.length if isinstance(kind, Array) else None)
        return _write_bytes  # an Opaque


def _inner(kind: Type) -> list[Type]:
    if isinstance(kind, Struct):
        return [field for _, field in kind.fields]
    if isinstance(kind, Map):
        return [kind.key, kind.elem]
    return [kind.elem] if isinstance(kind, Slice | Array) else []


def _struct_writer(kind: Struct, fields: list[tuple[str, _Write, Type]]) -> _Write:
    """Return the writer of a struct, which omits zero values, as Go does, except empty maps."""
    plan = [
        (name, write, field.zero if isinstance(field, Basic) else [] if isinstance(field, Slice) else None)
        for name, write, field in fields
    ]
    names = {name for name, _, _ in fields}

    def write(out: bytearray, value: dict[str, Any]) -> None:
        last, number = -1, 0
        if not value.keys() <= names:
            unknown = ", ".join(sorted(value.keys() - names))
            raise ValueError(f"{kind.name or 'a struct'} has no field {unknown}")
        for number, (name, write_field, zero) in enumerate(plan):
            item = value.get(name)
            if item is not None and item != zero:
                write_uint(out, number - last)
                write_field(out, item)
                last = number
        out.append(0)

    return write


def _list_writer(write_elem: _Write, length: int | None) -> _Write:
    def write(out: bytearray, value: Sequence[Any]) -> None:
        if length is not None and len(value) != length:
            raise ValueError(f"{len(value)} elements in an array of {length}")
        write_uint(out, len(value))
        for item in value:
            write_elem(out, item)

    return write


def _map_writer(write_key: _Write, write_elem: _Write) -> _Write:
    def write(out: bytearray, value: dict[Any, Any]) -> None:
        write_uint(out, len(value))
        for key, item in value.items():
            write_key(out, key)
            write_elem(out, item)

    return write


def write_uint(out: bytearray, number: int) -> None:
    """Append an unsigned number."""
    if 0 <= number < 128:
        out.append(number)
        return
    size = (number.bit_length() + 7) // 8
    if number < 0 or size > 8:
        raise OverflowError(f"{number} is not an unsigned 64-bit number")
    out.append(256 - size)
    out += number.to_bytes(size, "big")


def write_int(out: bytearray, number: int) -> None:
    """Append a signed number."""
    write_uint(out, ~number << 1 | 1 if number < 0 else number << 1)


def _write_float(out: bytearray, number: float) -> None:
    write_uint(out, int.from_bytes(struct.pack("<d", number), "big"))


def _write_complex(out: bytearray, number: complex) -> None:
    _write_float(out, number.real)
    _write_float(out, number.imag)


def _write_bytes(out: bytearray, data: bytes | bytearray) -> None:
    write_uint(out, len(data))
    out += data


def _write_string(out: bytearray, text: str) -> None:
    _write_bytes(out, text.encode("utf-8", "surrogateescape"))


def _write_bool(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


_WRITE: dict[Type, _Write] = {
    BOOL: _write_bool,
    INT: write_int,
    UINT: write_uint,
    FLOAT: _write_float,
    BYTES: _write_bytes,
    STRING: _write_string,
    COMPLEX: _write_complex,
}


def encode(kind: Type, value: Any) -> bytes:
    """Return a whole stream of one value.

    Raises:
        GobError: The value does not fit the type.
    """
    return Encoder().encode(kind, value)
