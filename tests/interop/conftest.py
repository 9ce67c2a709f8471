"""The Go node of the interoperability tests, built before the first of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peers import GO, build


@pytest.fixture(scope="session")
def go_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program; tests that need it are skipped only where there is no go command."""
    if GO is None:
        pytest.skip("there is no go command on the PATH")
    return build(tmp_path_factory.mktemp("go"))
