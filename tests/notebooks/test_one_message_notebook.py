"""The notebook that follows one message, executed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.notebooks.execution import Executed, as_text

pytestmark = pytest.mark.xdist_group("kernels")


def test_table_sets_the_steps_of_both_versions_side_by_side(executed: Callable[[str], Executed]) -> None:
    """Calls, mutations and RPCs are there; with two hosts and no waiting there is no machine that waits."""
    found = executed("2_one_message").outputs
    table = as_text(found["table"], "text/html")
    assert "ps-1: add PublishMessage" in table
    assert "RPC to host 1: message b&#x27;hello&#x27;" in table or "RPC to host 1: message b'hello'" in table
    assert "-bf-" not in table
    assert as_text(found["totals"]).split()[:4] == ["call", "control", "rpc", "delivery"]


def test_the_message_is_a_sequence_diagram(executed: Callable[[str], Executed]) -> None:
    """With a lifeline for each host."""
    picture = as_text(executed("2_one_message").outputs["sequence"], "image/svg+xml")
    assert picture.startswith("<svg ")
    assert all(f">{name}<" in picture for name in ("host 0", "host 1", "delivered"))
