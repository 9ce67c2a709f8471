"""The notebook that follows one message, executed."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks.execution import as_text, execute


def test_table_sets_the_steps_of_both_versions_side_by_side(tmp_path: Path) -> None:
    """Calls, mutations and RPCs are there; with two hosts and no waiting there is no machine that waits."""
    found = execute("2_one_message", tmp_path / "out.ipynb", hosts=2, ready=False)
    table = as_text(found["table"], "text/html")
    assert "ps-1: add PublishMessage" in table
    assert "RPC to host 1: message b&#x27;hello&#x27;" in table or "RPC to host 1: message b'hello'" in table
    assert "-bf-" not in table
    assert as_text(found["totals"]).split()[:4] == ["call", "control", "rpc", "delivery"]
