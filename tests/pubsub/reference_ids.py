"""The ids of the reference's pubsub tests: those that are covered, and the reasons for those that are not.

A test carries its id in its name, `test_F03_reconnects` (or `test_f03_...`), and may cover several: `test_B03_B04_...`;
`GS41a` is a part of `GS41`. Tests of one part of the protocol alone are in `tests/protocol`, `tests/node` and
`tests/wire`. To add a section, add a table to `SECTIONS`: every id of the section, with None if it is covered or the
reason why not.
"""

from __future__ import annotations

_NEW = "a rule of the library after May 2024, the state both versions are built from"
_NO_CONNECTION_MANAGER = "hosts of the simulator have no connection manager that would need tags"


def _covered(prefix: str, last: int, digits: int = 2) -> dict[str, str | None]:
    """The ids of a section that is there from 1 to `last`."""
    return dict.fromkeys(f"{prefix}{number:0{digits}}" for number in range(1, last + 1))


FLOODSUB = _covered("F", 23)

INTERNALS: dict[str, str | None] = {
    "P01": None,
    "P02": None,
    "P03": None,
    "P04": f"{_NEW}: hosts do not hear of protocols a peer speaks later",
    "P05": None,
    "P06": "wording of one log line",
}

TOPICS = _covered("T", 19) | {
    "T20": f"{_NEW}: filters of subscriptions",
    "T21": f"{_NEW}: filters of subscriptions",
}

DISCOVERY = _covered("D", 2)

VALIDATION = _covered("V", 9)

FILTERS_AND_LISTS: dict[str, str | None] = {
    "S01": None,
    "S02": None,
    "S03": None,
    "M01": None,
    "K01": None,
    "K02": None,
    "B01": None,
    "B02": None,
    "B03": None,
    "B04": None,
    "B05": None,
    "G01": None,  # Ed25519; hosts of the simulator have no RSA keys
    "C01": None,
}

SEEN_CACHE = _covered("TC", 4, digits=1)

OUTBOUND_QUEUE: dict[str, str | None] = {
    "Q01": None,  # the 33rd frame is refused, and traced as dropped
    "Q02": None,  # a closed queue is written to its end
    "Q03": None,  # urgent frames leave first
    "Q04": None,  # a full queue refuses both kinds
    "Q05": f"{_NEW}: pushes and pops that wait; nobody waits here, a stream says when it has room",
}

RANDOMSUB = _covered("R", 4)

GOSSIPSUB = _covered("GS", 56) | {
    "GS09": "skipped upstream: whether gossip rides on other RPCs is seen in the protocol's tests",
    "GS21": "offers carry peer ids, which are enough to dial in a simulated network; there are no addresses to sign",
    "GS37": f"{_NEW}: feedback of the application on single messages",
    "GS38": f"{_NEW}: evaluations that can be given up",
    "GS42": "hosts of the simulator keep no address book",
    "GS53": f"{_NEW}: a scheduler for batches",
    "GS54": f"{_NEW}: publishing in batches",
    "GS56": f"{_NEW}: topics that are published to but not taken part in",
    "GS57": f"{_NEW}: topics that are published to but not taken part in",
}

ATTACKS = _covered("A", 8)

SCORES = _covered("SC", 18) | _covered("SP", 4)

GATER: dict[str, str | None] = {"GT01": None, "GT02": f"{_NEW}: clean-up at the end of inbound streams", "GT03": _NEW}

PROMISES = _covered("PR", 2)

FEATURES: dict[str, str | None] = {
    "FT01": None,
    "FT02": "protocols of one's own are tried with floodsub (F08, F09); gossipsub speaks those of its options",
    "FT03": "a function that matches protocols: streams are negotiated by name",
}

TAGS: dict[str, str | None] = dict.fromkeys(("TT01", "TT02", "TT03", "TT04", "CM01"), _NO_CONNECTION_MANAGER)

TRACERS: dict[str, str | None] = {
    "TR01": None,  # every kind of event, in the one log a world keeps
    "TR02": "a world keeps one log, `World.trace`; the reference's file format is not written",
    "TR03": "a world keeps one log, `World.trace`; nothing is streamed to a collector",
}

DEFECTS = _covered("X", 9, digits=1)
"""Known defects of the first state-machine rewrite, each shown to be absent."""

SECTIONS: tuple[dict[str, str | None], ...] = (
    FLOODSUB,
    INTERNALS,
    TOPICS,
    DISCOVERY,
    VALIDATION,
    FILTERS_AND_LISTS,
    SEEN_CACHE,
    OUTBOUND_QUEUE,
    RANDOMSUB,
    GOSSIPSUB,
    ATTACKS,
    SCORES,
    GATER,
    PROMISES,
    FEATURES,
    TAGS,
    TRACERS,
    DEFECTS,
)
