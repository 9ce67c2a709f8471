"""Which of the reference's pubsub tests are there, and which are not, and why not?

A test carries its id in its name, `test_F03_reconnects` (or `test_f03_...`), and may cover several: `test_B03_B04_...`.
To add a section, add a table to `SECTIONS`: every id of the section, with None if it is covered or the reason why not.
"""

from __future__ import annotations

_NEW = "a rule of the library after May 2024, the state both versions are built from"

FLOODSUB: dict[str, str | None] = dict.fromkeys(f"F{number:02}" for number in range(1, 24))

INTERNALS: dict[str, str | None] = {
    "P01": None,
    "P02": None,
    "P03": None,
    "P04": f"{_NEW}: hosts do not hear of protocols a peer speaks later",
    "P05": None,
    "P06": "wording of one log line",
}

TOPICS: dict[str, str | None] = dict.fromkeys(f"T{number:02}" for number in range(1, 20)) | {
    "T20": f"{_NEW}: filters of subscriptions",
    "T21": f"{_NEW}: filters of subscriptions",
}

DISCOVERY: dict[str, str | None] = {
    "D01": None,
    "D02": "needs gossipsub hosts with two separate discovery servers; skipped upstream at that time",
}

VALIDATION: dict[str, str | None] = dict.fromkeys(f"V{number:02}" for number in range(1, 10))

FILTERS_AND_LISTS: dict[str, str | None] = {
    "S01": None,
    "S02": None,
    "S03": None,
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

OUTBOUND_QUEUE: dict[str, str | None] = {
    "Q01": None,  # the 33rd frame is refused, and traced as dropped
    "Q02": None,  # a closed queue is written to its end
}

DEFECTS: dict[str, str | None] = dict.fromkeys(f"X{number}" for number in range(1, 10))
"""Known defects of the first state-machine rewrite, each shown to be absent."""

SECTIONS: tuple[dict[str, str | None], ...] = (
    FLOODSUB,
    INTERNALS,
    TOPICS,
    DISCOVERY,
    VALIDATION,
    FILTERS_AND_LISTS,
    OUTBOUND_QUEUE,
    DEFECTS,
)
