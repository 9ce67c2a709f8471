"""The contract of a node is held against every version that takes turns, `states-rpc` included."""

from __future__ import annotations

import pytest

from tests.conftest import VERSIONS


@pytest.fixture(params=(*VERSIONS, "states-rpc"))
def version(request: pytest.FixtureRequest) -> str:
    """Each contract test runs once per version."""
    name: str = request.param
    return name
