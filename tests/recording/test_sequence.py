"""One message as a sequence diagram."""

from __future__ import annotations

import pytest

from pubsub_sim.recording.sequence import message_sequence
from pubsub_sim.scenarios.one_message import OneMessage, one_message


@pytest.mark.parametrize("version", ["baseline", "states"])
def test_every_copy_of_a_message_is_an_arrow_between_hosts(version: str) -> None:
    """The publisher sends to both others, each of which sends to the other one; all three deliver it."""
    lines = message_sequence(one_message(OneMessage(version=version, hosts=3)), "text").splitlines()
    rows = [line.split(None, 1)[1] for line in lines]
    assert [row for row in rows if "message b'hello'" in row] == [
        "host 0  message b'hello' host 1",
        "host 0  message b'hello' host 2",
        "host 1  message b'hello' host 2",
        "host 2  message b'hello' host 1",
    ]
    assert sum(row.endswith("delivered") for row in rows) == 3
    assert sum(row.endswith("duplicate dropped") for row in rows) == 2


def test_both_versions_have_the_same_diagram() -> None:
    """It shows what is equal in both."""
    one, two = (message_sequence(one_message(OneMessage(version=name))) for name in ("baseline", "states"))
    assert one == two
