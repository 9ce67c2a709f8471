"""Tests of one group run in one process."""

from __future__ import annotations

import pytest


def test_every_group_stays_in_one_process(request: pytest.FixtureRequest) -> None:
    """The name of a group is at the end of the ids of its tests: pytest-xdist goes by that, and by nothing else."""
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("the tests run in one process, or are shared out in another way: expected `--dist loadgroup`")
    grouped = [(item, mark.args[0]) for item in request.session.items for mark in item.iter_markers("xdist_group")]
    assert [item.nodeid for item, group in grouped if not item.nodeid.endswith(f"@{group}")] == []
