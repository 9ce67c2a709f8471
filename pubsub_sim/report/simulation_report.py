"""The command `simulate-report`: executes the simulator's notebook and writes it as Markdown, PDF and HTML.

The notebook plays what is missing of its sweep. Of the same stored runs the report has the same bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import OptionError
from pubsub_sim.flags import from_flags
from pubsub_sim.packages import explain_missing
from pubsub_sim.places import local_report_folder
from pubsub_sim.report.build import (
    FORMATS,
    execute,
    export,
    fixed_date,
    refuse_foreign,
    remove_absent,
    replaced,
    require_report,
    strip,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "simulation"
"""File name of the report, without ending."""

FIGURES = f"{NAME}_files"
_OURS = {FIGURES, *(f"{NAME}{ending}" for ending in FORMATS.values())}
_SETTINGS: dict[str, dict[str, Any]] = {"offline-html": {"scripts": True}}  # the slider of the network


@dataclass(frozen=True, kw_only=True)
class SimulationReportOptions:
    """Which simulations are reported, and where to.

    Attributes:
        parameters: of notebook 6 as YAML, such as "{seeds: [1, 2], duration: 10m}"; "" for its defaults.
        out: folder of the report; "" for data/local/simulation.

    Raises:
        OptionError: a value that cannot be used.
        MissingPackageError: PyYAML is not installed.
    """

    parameters: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        for name in ("parameters", "out"):
            if not isinstance(getattr(self, name), str):
                raise OptionError(name, getattr(self, name), "a text")
        self.read_parameters()

    def read_parameters(self) -> dict[str, Any]:
        """The parameters by name."""
        with explain_missing("--parameters"):
            import yaml
        try:
            found = yaml.safe_load(self.parameters) if self.parameters.strip() else {}
        except yaml.YAMLError:
            found = None
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise OptionError(
                "parameters", self.parameters, "names with values as YAML, such as {seeds: [1, 2], peers: 30}"
            )
        return found

    @property
    def folder(self) -> Path:
        """The folder of the report."""
        return Path(self.out).expanduser().absolute() if self.out else local_report_folder(NAME)


def build_simulation_report(parameters: Mapping[str, Any], target: Path) -> list[Path]:
    """Execute notebook 6 and write what it shows as .md with figures, .pdf and .html.

    A report that is there is replaced as a whole, once the new one is complete.

    Args:
        parameters: of the notebook.
        target: folder of the report.

    Returns:
        The files written.

    Raises:
        MissingPackageError: an extra is not installed.
        ForeignFilesError: the folder holds files that are no part of a report.
        NotebookFailedError: the notebook did not run to its end.
        UnwritableReportError: the folder cannot be made or written.
    """
    require_report()
    refuse_foreign(target, _OURS)
    with replaced(target) as folder, fixed_date():
        notebook = remove_absent(strip(execute("6_simulator", {**parameters, "progress": "none"})))
        for name, ending in FORMATS.items():
            export(notebook, name, folder / f"{NAME}{ending}", FIGURES, **_SETTINGS.get(name, {}))
    return sorted(path for path in target.rglob("*") if path.is_file())


def simulation_report_command(arguments: Sequence[str]) -> int:
    """Run the command from its words.

    Returns:
        0.

    Raises:
        PubsubSimError: bad flags, or the report cannot be written.
    """
    summary = "Play the simulations of notebook 6 that are missing, and write its report."
    options: SimulationReportOptions = from_flags(SimulationReportOptions, "simulate-report", summary, arguments)
    for path in build_simulation_report(options.read_parameters(), options.folder):
        sys.stdout.write(f"{path.name}: {path.stat().st_size:,} bytes\n")
    return 0
