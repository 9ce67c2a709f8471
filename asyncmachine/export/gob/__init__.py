"""A decoder and an encoder of Go's encoding/gob, without I/O."""

from asyncmachine.export.gob.decoding import Decoder, decode
from asyncmachine.export.gob.encoding import Encoder, encode
from asyncmachine.export.gob.types import (
    BOOL,
    BYTES,
    COMPLEX,
    FLOAT,
    INT,
    INTERFACE,
    STRING,
    UINT,
    Array,
    Basic,
    GobError,
    Interface,
    Map,
    Message,
    Opaque,
    Slice,
    Struct,
    Type,
)

__all__ = [
    "BOOL",
    "BYTES",
    "COMPLEX",
    "FLOAT",
    "INT",
    "INTERFACE",
    "STRING",
    "UINT",
    "Array",
    "Basic",
    "Decoder",
    "Encoder",
    "GobError",
    "Interface",
    "Map",
    "Message",
    "Opaque",
    "Slice",
    "Struct",
    "Type",
    "decode",
    "encode",
]
