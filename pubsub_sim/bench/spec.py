"""The specification of a worker's run as one JSON object: the scenario's options, the event loop, the warm-up and the kind."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from pubsub_sim.bench.instruments import INSTRUMENTS
from pubsub_sim.checks import check_bool, check_choice
from pubsub_sim.errors import OptionError
from pubsub_sim.parameters import reject_unknown
from pubsub_sim.scenarios.simple_discovery import SimpleDiscovery
from pubsub_sim.world.running import loop_factory

COMPARED = "field"
"""Kind of the runs of comparators and of the versions beside them, by the name it is stored under."""

WHOLE = "whole"
"""Kind of the runs that are made one after the other, without time slices, to check those that have some."""

TIMED = ("timing", "control", WHOLE, COMPARED)
"""Kinds of run that nothing slows down: compared, a version against itself, without time slices, and beside comparators."""

KINDS = (*TIMED, *INSTRUMENTS)
"""What a run can be for."""


@dataclass(frozen=True, kw_only=True)
class RunSpec(SimpleDiscovery):
    """One run of the scenario on one kind of event loop.

    Attributes:
        loop: event loop, "uvloop" or "asyncio".
        warmup: whether a small run of the same version comes first, in the same process and kept apart.
        kind: what the run is for: one of KINDS; "memory", "calls" and "lag" have an instrument that slows the run down.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    loop: str = "uvloop"
    warmup: bool = True
    kind: str = "timing"

    def __post_init__(self) -> None:
        super().__post_init__()
        loop_factory(self.loop)
        check_bool("warmup", self.warmup)
        check_choice("kind", self.kind, KINDS)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSpec:
        """Read a specification.

        Args:
            text: a JSON object whose names are the fields of this class.

        Raises:
            OptionError: it is no JSON object, a name is unknown or missing, or a value cannot be used.
        """
        try:
            given = json.loads(text)
        except ValueError as error:
            raise OptionError("specification", _start_of(text), f"one JSON object ({error})") from None
        if not isinstance(given, dict):
            raise OptionError("specification", given, "one JSON object")
        reject_unknown(given, (entry.name for entry in fields(cls)))
        for name in ("version", "hosts", "messages"):
            if name not in given:
                raise OptionError(name, None, "a value, as it has no default")
        return cls(**given)

    def to_json(self) -> str:
        """Write the specification down, every field named."""
        return json.dumps(asdict(self))


def _start_of(text: str | bytes) -> str:
    return (text.decode(errors="replace") if isinstance(text, bytes) else text)[:40]
