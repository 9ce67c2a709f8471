"""Random types and values of gob, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from asyncmachine.export.gob import (
    BOOL,
    BYTES,
    COMPLEX,
    FLOAT,
    INT,
    INTERFACE,
    STRING,
    UINT,
    Array,
    Interface,
    Map,
    Opaque,
    Slice,
    Struct,
    Type,
)

BASIC: dict[Type, st.SearchStrategy[Any]] = {
    BOOL: st.booleans(),
    INT: st.integers(-(2**63), 2**63 - 1),
    UINT: st.integers(0, 2**64 - 1),
    FLOAT: st.floats(allow_nan=False),
    BYTES: st.binary(max_size=300),
    STRING: st.text(max_size=40) | st.binary(max_size=9).map(lambda b: b.decode("utf-8", "surrogateescape")),
    COMPLEX: st.complex_numbers(allow_nan=False),
}
KEYED = [BOOL, INT, UINT, STRING]
NAMES = st.text("abcdefgXYZ", min_size=1, max_size=5)


def composed(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    fields = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4, unique_by=lambda field: field[0])
    return st.one_of(
        st.builds(Slice, inner, NAMES),
        st.builds(Array, inner, st.integers(0, 3)),
        st.builds(Map, st.sampled_from(KEYED), inner),
        st.builds(Struct, NAMES, fields),
    )


TYPES = st.recursive(st.sampled_from([*BASIC, INTERFACE, Opaque("Time")]), composed, max_leaves=6)


def values(kind: Type, held: tuple[Type, ...] = tuple(BASIC)) -> st.SearchStrategy[Any]:
    """Values of a type, as a decoder gives them inside a list: zero values included.

    Args:
        kind: The type.
        held: Types of what interfaces hold.
    """
    if kind in BASIC:
        return BASIC[kind]
    if kind is INTERFACE:
        inside = st.sampled_from(held).flatmap(lambda one: st.builds(Interface, NAMES, st.just(one), BASIC[one]))
        return st.none() | inside
    if isinstance(kind, Opaque):
        return st.binary(max_size=20)
    if isinstance(kind, Array):
        return st.lists(values(kind.elem, held), min_size=kind.length, max_size=kind.length)
    if isinstance(kind, Slice):
        return st.lists(values(kind.elem, held), max_size=4)
    if isinstance(kind, Map):
        return st.dictionaries(values(kind.key, held), values(kind.elem, held), max_size=4)
    assert isinstance(kind, Struct)
    fields = {name: values(field, held) for name, field in kind.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda value: without_zeros(kind, value))


def without_zeros(kind: Struct, value: dict[str, Any]) -> dict[str, Any]:
    """Return a struct as it arrives."""
    zeros: dict[str, Any] = {
        name: [] if isinstance(field, Slice) else getattr(field, "zero", None) for name, field in kind.fields
    }
    return {name: item for name, item in value.items() if item is not None and item != zeros[name]}


TYPED_VALUES = TYPES.flatmap(lambda kind: values(kind).map(lambda value: (kind, value)))
