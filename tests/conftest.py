"""What all tests share: the versions every contract is held against."""

from __future__ import annotations

import pytest

VERSIONS = ("baseline", "states")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each contract test runs once per version, so a difference between them is a failing test."""
    name: str = request.param
    return name
