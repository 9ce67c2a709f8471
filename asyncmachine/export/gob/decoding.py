"""An incremental decoder of gob streams.

Input is untrusted: lengths are checked against the message before anything is allocated, and nesting is bounded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncmachine.export.gob.types import (
    BASICS,
    BOOL,
    BYTES,
    COMPLEX,
    FIRST_ID,
    FLOAT,
    INT,
    INTERFACE,
    KEYS,
    MAX_DEPTH,
    MAX_MESSAGE,
    STRING,
    UINT,
    WIRE,
    Array,
    GobError,
    Interface,
    Map,
    Message,
    Opaque,
    Slice,
    Struct,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Reader:
    """The bytes of one message, with a read position."""

    __slots__ = ("data", "depth", "pos", "start")

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.start = start
        self.pos = 0
        self.depth = 0

    def error(self, reason: str) -> GobError:
        return GobError(reason, self.start + self.pos)

    def read_uint(self) -> int:
        first = self.data[self.pos]
        if first < 128:
            self.pos += 1
            return first
        size = 256 - first
        if size > 8:
            raise self.error(f"a number of {size} bytes")
        return int.from_bytes(self._take(1, size), "big")

    def read_int(self) -> int:
        number = self.read_uint()
        return ~(number >> 1) if number & 1 else number >> 1

    def read_bool(self) -> bool:
        return bool(self.read_uint())

    def read_float(self) -> float:
        number: float = struct.unpack("<d", self.read_uint().to_bytes(8, "big"))[0]
        return number

    def read_complex(self) -> complex:
        return complex(self.read_float(), self.read_float())

    def read_bytes(self) -> bytes:
        return self._take(0, self.read_uint())

    def read_string(self) -> str:
        return self.read_bytes().decode("utf-8", "surrogateescape")

    def count(self, what: str, least: int) -> int:
        """Read the number of elements that follow, each of at least `least` bytes."""
        count = self.read_uint()
        if count * least > len(self.data) - self.pos:
            raise self.error(f"{what} of {count} elements, more than fit into the message")
        return count

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"values nested more than {MAX_DEPTH} deep")

    def _take(self, skip: int, size: int) -> bytes:
        start = self.pos + skip
        end = start + size
        if end > len(self.data):
            raise self.error(f"{size} bytes announced, {len(self.data) - start} left")
        self.pos = end
        return self.data[start:end]


_Read: TypeAlias = "Callable[[_Reader], Any]"
_READ: dict[Type, _Read] = {
    BOOL: _Reader.read_bool,
    INT: _Reader.read_int,
    UINT: _Reader.read_uint,
    FLOAT: _Reader.read_float,
    BYTES: _Reader.read_bytes,
    STRING: _Reader.read_string,
    COMPLEX: _Reader.read_complex,
}


class Decoder:
    """The decoder of one gob stream: `feed` it, then iterate; iteration stops when more bytes are needed."""

    def __init__(self, *, max_message: int = MAX_MESSAGE) -> None:
        self._max = max_message
        self._buffer = bytearray()
        self._offset = 0
        self._wires: dict[int, dict[str, Any]] = {}
        self._types: dict[int, Type] = {basic.id: basic for basic in BASICS}
        self._readers: dict[Type, _Read] = {**_READ, INTERFACE: self._interface}

    def feed(self, data: bytes) -> None:
        """Append the next bytes of the stream."""
        self._buffer += data

    def __iter__(self) -> Iterator[Message]:
        """Yield the complete messages.

        Raises:
            GobError: The bytes are not a gob stream; the rest cannot be read.
        """
        while (reader := self._next()) is not None:
            try:
                number = self._sequence(reader)
                if number is None:
                    continue
                kind = self._type(number, reader)
                value = self._value(kind, reader)
            except IndexError:
                raise reader.error("the message ends too early") from None
            if reader.pos < len(reader.data):
                raise reader.error(f"{len(reader.data) - reader.pos} bytes too many in a message")
            yield Message(kind, value)

    def finish(self) -> None:
        """Declare the end of the stream.

        Raises:
            GobError: It ends inside a message.
        """
        if self._buffer:
            raise GobError("the stream ends inside a message", self._offset + len(self._buffer))

    def _next(self) -> _Reader | None:
        """Remove and return a complete message from the buffer, if there is one."""
        head = _Reader(bytes(self._buffer[:9]), self._offset)
        if not head.data or (head.data[0] >= 248 and len(head.data) < 257 - head.data[0]):
            return None
        length = head.read_uint()
        if not 0 < length <= self._max:
            raise head.error(f"a message of {length} bytes, where 1 to {self._max} are accepted")
        end = head.pos + length
        if len(self._buffer) < end:
            return None
        reader = _Reader(bytes(memoryview(self._buffer)[head.pos : end]), self._offset + head.pos)
        del self._buffer[:end]
        self._offset += end
        return reader

    def _sequence(self, reader: _Reader, *, inside: bool = False) -> int | None:
        """Read type definitions and the number of the type whose value follows; None if the message ends before it."""
        while (number := reader.read_int()) < 0:
            if -number < FIRST_ID - 1 or -number in self._wires:
                raise reader.error(f"type {-number} is defined twice")
            wire = self._wires[-number] = self._reader(WIRE)(reader)
            if len(wire) != 1:
                raise reader.error(f"type {-number} is defined as {len(wire)} kinds of type")
            if not inside:
                return None
            reader.read_uint()  # the length of what follows in the interface
        return number

    def _type(self, number: int, reader: _Reader, depth: int = 0) -> Type:
        """Return a type, created from its definition on first use: definitions may refer to later ones."""
        if number in self._types:
            return self._types[number]
        if number not in self._wires:
            raise reader.error(f"type {number} is not defined")
        if depth > MAX_DEPTH:
            raise reader.error(f"types nested more than {MAX_DEPTH} deep")
        ((kind, wire),) = self._wires[number].items()
        name = wire.get("CommonType", {}).get("Name", "")
        if kind == "StructT":
            made = self._types[number] = Struct(name, ())
            made.fields = tuple(
                (field.get("Name", ""), self._type(field.get("Id", 0), reader, depth + 1))
                for field in wire.get("Field", ())
            )
        elif kind == "SliceT" or kind == "ArrayT":
            listed = Slice(BOOL, name) if kind == "SliceT" else Array(BOOL, wire.get("Len", 0), name)
            self._types[number] = listed
            listed.elem = self._type(wire.get("Elem", 0), reader, depth + 1)
        elif kind == "MapT":
            mapping = self._types[number] = Map(BOOL, BOOL, name)
            mapping.key = self._type(wire.get("Key", 0), reader, depth + 1)
            mapping.elem = self._type(wire.get("Elem", 0), reader, depth + 1)
        else:
            self._types[number] = Opaque(name, kind.removesuffix("T"))
        return self._types[number]

    def _reader(self, kind: Type) -> _Read:
        read = self._readers.get(kind)
        if read is None:
            self._readers[kind] = lambda reader: self._readers[kind](reader)  # a type may contain itself
            read = self._readers[kind] = self._compile(kind)
        return read

    def _compile(self, kind: Type) -> _Read:
        if isinstance(kind, Struct):
            return _struct_reader([(name, self._reader(field)) for name, field in kind.fields])
        if isinstance(kind, Map):
            return _map_reader(kind, self._reader(kind.key), self._reader(kind.elem))
        if isinstance(kind, Slice | Array):
            return _list_reader(self._reader(kind.elem), kind.length if isinstance(kind, Array) else None)
        return _Reader.read_bytes  # an Opaque

    def _value(self, kind: Type, reader: _Reader) -> Any:
        """Read a top-level value: unless it is a struct, it follows a zero byte."""
        if not isinstance(kind, Struct) and reader.read_uint():
            raise reader.error("no zero byte before a value that is not a struct")
        return self._reader(kind)(reader)

    def _interface(self, reader: _Reader) -> Interface | None:
        name = reader.read_string()
        if not name:
            return None
        reader.deeper()
        number = self._sequence(reader, inside=True)
        assert number is not None
        kind = self._type(number, reader)
        length = reader.read_uint()
        end = reader.pos + length
        value = self._value(kind, reader)
        if reader.pos != end:
            raise reader.error(f"a value of {length} bytes in an interface has another length")
        reader.depth -= 1
        return Interface(name, kind, value)


def _struct_reader(fields: list[tuple[str, _Read]]) -> _Read:
    def read(reader: _Reader) -> dict[str, Any]:
        reader.deeper()
        value: dict[str, Any] = {}
        number = -1
        while step := reader.read_uint():
            number += step
            if number >= len(fields):
                raise reader.error(f"field {number} of a struct of {len(fields)}")
            name, read_field = fields[number]
            value[name] = read_field(reader)
        reader.depth -= 1
        return value

    return read


def _list_reader(read_elem: _Read, length: int | None) -> _Read:
    def read(reader: _Reader) -> list[Any]:
        count = reader.count("a list", 1)
        if length is not None and count != length:
            raise reader.error(f"an array of {length} elements with {count}")
        reader.deeper()
        value = [read_elem(reader) for _ in range(count)]
        reader.depth -= 1
        return value

    return read


def _map_reader(kind: Map, read_key: _Read, read_elem: _Read) -> _Read:
    def read(reader: _Reader) -> dict[Any, Any]:
        if kind.key not in KEYS:
            raise reader.error("map keys that are not plain values")
        count = reader.count("a map", 2)
        reader.deeper()
        value = {read_key(reader): read_elem(reader) for _ in range(count)}
        reader.depth -= 1
        return value

    return read


def decode(data: bytes) -> list[Message]:
    """Return all messages of a whole stream.

    Raises:
        GobError: It is not a gob stream, or is truncated.
    """
    decoder = Decoder(max_message=max(len(data), 1))
    decoder.feed(data)
    messages = list(decoder)
    decoder.finish()
    return messages
