"""Sessions of a sweep: what a session's workers have in common and the next session's have not.

Where code and data lie in memory decides how fast they run, by some percent, and is decided by chance: by the seed of Python's
hashes, the order of imports and the size of the environment, which lies on the stack. A sweep that holds these fixed measures
one throw of the dice, however often it repeats it (Mytkowicz et al., "Producing wrong data without doing anything obviously
wrong", 2009). So each session draws them anew.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.sources import imported, module_name
from pubsub_sim.scenarios.versions import name_package

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PADDING = "PUBSUB_SIM_PADDING"
"""Environment variable that is there for its size only."""

LAYOUT = "layout"
"""Fact of a run's provenance: what its session drew."""

_MOST_PADDING = 4096
_HASH_SEEDS = range(1, 2**32)
_WORKER = "pubsub_sim/bench/worker.py"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What decides where code and data lie in the workers of a session.

    Attributes:
        session: number of the session, from 1.
        hash_seed: seed of Python's hashes.
        import_order: seed of the order in which modules are imported.
        padding_bytes: size of a variable of the environment that nothing reads.
    """

    session: int
    hash_seed: int
    import_order: int
    padding_bytes: int

    @classmethod
    def draw(cls, seed: int, session: int) -> Layout:
        """Draw the layout of a session.

        Args:
            seed: of the sweep: the same sweep has the same layouts.
            session: number of the session, from 1.
        """
        rng = random.Random(f"{seed}/layout/{session}")
        return cls(
            session=session,
            hash_seed=rng.choice(_HASH_SEEDS),
            import_order=rng.randrange(2**32),
            padding_bytes=rng.randrange(_MOST_PADDING),
        )

    def environment(self) -> dict[str, str]:
        """Give the variables of the environment that make it."""
        return {"PYTHONHASHSEED": str(self.hash_seed), PADDING: "x" * self.padding_bytes}

    def order(self, modules: Iterable[str]) -> list[str]:
        """Give modules in the order in which they are imported."""
        names = sorted(modules)
        random.Random(self.import_order).shuffle(names)
        return names

    def facts(self) -> dict[str, Any]:
        """Give what is stored of it."""
        return asdict(self)


def list_modules(root: Path, packages: Iterable[str], versions: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """List the modules that a worker imports before its run.

    Args:
        root: folder that holds the packages.
        packages: names of those that are followed.
        versions: which versions are measured.

    Returns:
        Version to the names of the modules of these packages that importing the worker and that version runs. Of a version
        that is not ours, only the worker's.
    """
    followed = tuple(packages)

    def follow(start: str) -> set[str]:
        return {module_name(root, path) for path in imported(root, [start], followed, late=False)}

    worker = follow(_WORKER)
    found = {}
    for version in versions:
        driver = name_package(version)
        own = follow(driver.replace(".", "/") + "/__init__.py") if driver else set()
        found[version] = tuple(sorted(worker | own))
    return found
