"""Types and values of Go's encoding/gob.

A type is one of the constants (`BOOL`, `INT`, ...) or an object (`Slice`, `Array`, `Map`, `Struct`, `Opaque`). Values are plain Python
values: a struct is a dict with only the fields that were sent, a slice or an array a list, a map a dict, an interface None or
`Interface`, a type that encodes itself (such as time.Time) its bytes. Invalid UTF-8 is preserved by surrogate escapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from asyncmachine.export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGE: Final = 1 << 28
"""Maximal size of a message, in bytes."""
MAX_DEPTH: Final = 64
"""Maximal nesting depth of values."""
FIRST_ID: Final = 65
"""Number of the first type defined by a stream."""


class GobError(ExportError):
    """Invalid bytes in a gob stream, or a value that does not fit its type.

    Attributes:
        reason: The problem.
        offset: Its position, in bytes from the start of the stream; None for a value that cannot be encoded.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        self.reason = reason
        self.offset = offset
        where = "cannot encode as gob" if offset is None else f"not a gob stream at byte {offset}"
        super().__init__(f"{where}: {reason}")


class Basic:
    """A predefined type."""

    __slots__ = ("id", "name", "zero")

    def __init__(self, name: str, number: int, zero: object) -> None:
        self.name = name
        self.id = number
        self.zero = zero

    def __repr__(self) -> str:
        return self.name


BOOL: Final = Basic("bool", 1, zero=False)
INT: Final = Basic("int", 2, 0)
UINT: Final = Basic("uint", 3, 0)
FLOAT: Final = Basic("float", 4, 0.0)
BYTES: Final = Basic("bytes", 5, b"")
STRING: Final = Basic("string", 6, "")
COMPLEX: Final = Basic("complex", 7, 0j)
INTERFACE: Final = Basic("interface", 8, None)
BASICS: Final = (BOOL, INT, UINT, FLOAT, BYTES, STRING, COMPLEX, INTERFACE)
KEYS: Final = (BOOL, INT, UINT, FLOAT, BYTES, STRING)
"""Supported types of map keys."""


class Slice:
    """A list of values of one type."""

    __slots__ = ("elem", "name")

    def __init__(self, elem: Type, name: str = "") -> None:
        self.elem = elem
        self.name = name


class Array:
    """A list of fixed length, of values of one type."""

    __slots__ = ("elem", "length", "name")

    def __init__(self, elem: Type, length: int, name: str = "") -> None:
        self.elem = elem
        self.length = length
        self.name = name


class Map:
    """A mapping."""

    __slots__ = ("elem", "key", "name")

    def __init__(self, key: Type, elem: Type, name: str = "") -> None:
        self.key = key
        self.elem = elem
        self.name = name


class Struct:
    """Named fields, each with its own type."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: Sequence[tuple[str, Type]]) -> None:
        self.name = name
        self.fields = tuple(fields)


class Opaque:
    """A type that encodes itself; `how` is "GobEncoder", "BinaryMarshaler" or "TextMarshaler"."""

    __slots__ = ("how", "name")

    def __init__(self, name: str, how: str = "GobEncoder") -> None:
        self.name = name
        self.how = how


Type: TypeAlias = Basic | Slice | Array | Map | Struct | Opaque


class Interface(NamedTuple):
    """A value with its type and the registered name of the type."""

    name: str
    type: Type
    value: Any


class Message(NamedTuple):
    """A value of a stream."""

    type: Type
    value: Any


_COMMON = Struct("CommonType", [("Name", STRING), ("Id", INT)])
_NAMED = ("CommonType", _COMMON)
_FIELD = Struct("fieldType", [("Name", STRING), ("Id", INT)])
_OPAQUES = ("GobEncoder", "BinaryMarshaler", "TextMarshaler")
WIRE: Final = Struct(
    "wireType",
    [
        ("ArrayT", Struct("arrayType", [_NAMED, ("Elem", INT), ("Len", INT)])),
        ("SliceT", Struct("sliceType", [_NAMED, ("Elem", INT)])),
        ("StructT", Struct("structType", [_NAMED, ("Field", Slice(_FIELD))])),
        ("MapT", Struct("mapType", [_NAMED, ("Key", INT), ("Elem", INT)])),
        *((f"{how}T", Struct("gobEncoderType", [_NAMED])) for how in _OPAQUES),
    ],
)
"""The wire format of a type definition."""
