"""A recorded run as one HTML page: the notebook "inside a run", executed on the record and exported."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from asyncmachine.export.errors import ExportError
from asyncmachine.export.files import write_whole
from pubsub_sim.errors import RunError
from pubsub_sim.packages import require
from pubsub_sim.places import shipped

if TYPE_CHECKING:
    from asyncmachine.record import Record

NOTEBOOK = "5_inside_a_run"


class PageError(ExportError, RunError):
    """The notebook failed.

    Attributes:
        reason: the reason.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"notebook {NOTEBOOK} did not complete: {reason}")


def write_page(record: Record, path: Path, beside: Path | None = None) -> int:
    """Write a self-contained page of a run atomically.

    Args:
        record: the run.
        path: the file.
        beside: record of another version, shown below it; by default the one in the sibling folder named after that
            version, if it is of the same run.

    Returns:
        Bytes written.

    Raises:
        MissingPackageError: an extra is not installed.
        PageError: the notebook failed.
        UnwritableFileError: the file cannot be written.
    """
    require("the page of a run", "bokeh", "ipykernel", "matplotlib", "nbconvert", "nbformat", "pandas", "papermill")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside papermill and its dependencies
        import papermill  # type: ignore[import-untyped]
        from nbconvert.exporters import get_exporter
        from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
        from traitlets.config import Config

    source = shipped(f"notebooks/{NOTEBOOK}.ipynb")
    parameters = {"record": str(record.path.absolute()), "beside": "" if beside is None else str(beside.absolute())}
    quiet = Config(
        KernelManager={"transport_encryption": "auto"},  # avoids a warning of the kernel about TCP
        NotebookClient={"shutdown_kernel": "immediate"},  # avoids an interrupt of the kernel and its output
    )
    with tempfile.TemporaryDirectory() as place:
        try:
            # not into a file, which papermill would write anew before and after each cell
            notebook = papermill.execute_notebook(
                source, None, parameters=parameters, cwd=place, progress_bar=False, config=quiet
            )
        except PapermillExecutionError as error:
            raise PageError(f"{error.ename}: {error.evalue}") from error
    exporter = get_exporter("offline-html")(scripts=True)  # type: ignore[no-untyped-call]
    html, _ = exporter.from_notebook_node(notebook)
    return write_whole(path, [html.encode()])
