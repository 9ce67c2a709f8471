"""Additional files of the simulator's wheel: notebooks and published figures, which are outside the package in a clone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = (
    "data/reference/go-original.json",
    "data/reference/published-2024.csv",
    "data/reference/simsub-2022.csv",
    "notebooks/4_findings.ipynb",
    "notebooks/5_inside_a_run.ipynb",
)
"""Files of the clone that the commands read, in the package's folder `shipped` under the same names."""


class CustomBuildHook(BuildHookInterface[Any]):
    """A build hook that adds the files to wheels and source distributions; a wheel built from the latter finds them there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them, unless this is an editable install, which reads the clone.

        Args:
            version: the kind of the target, such as "standard" or "editable".
            build_data: the builder's data, modified in place.
        """
        project = Path(self.root)
        if version == "editable" or (project / "shipped").is_dir():
            return
        for name in SHIPPED:
            build_data["force_include"][str(project.parent / name)] = f"shipped/{name}"
