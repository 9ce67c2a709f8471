"""Execute and export the findings notebook of a sweep. The new report replaces the old one on disk."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.packages import require
from pubsub_sim.places import local_report_folder, shipped
from pubsub_sim.report import summary
from pubsub_sim.report.display import ABSENT
from pubsub_sim.report.errors import ForeignFilesError, NotebookFailedError, UnwritableReportError
from pubsub_sim.report.options import ReportOptions
from pubsub_sim.report.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from nbformat import NotebookNode

FORMATS = {"bench-md": ".md", "typst": ".pdf", "offline-html": ".html"}
"""Name of an nbconvert exporter to the ending of the file that it writes."""

REPORT, APPENDIX = "bench", "appendix"
"""File names, without ending, of the report and of its full tables."""

FIGURES = "bench_files"
"""Folder of the figures that bench.md and appendix.md show."""

_OURS = {*(name + ending for name in (REPORT, APPENDIX) for ending in FORMATS.values()), FIGURES, summary.FILE}


def default_out() -> Path:
    """Give the folder of reports that stay on this machine, outside a clone `report` in the current folder.

    `make publish` copies a report to data/report.
    """
    return local_report_folder()


def build_report(sweep: str, out: Path | None = None, reference: str = "published-2024") -> list[Path]:
    """Write the report of a sweep and its appendix, each as .md with figures, .pdf and .html, and summary.json.

    The same data give the same bytes. A report that is there is replaced as a whole, once the new one is complete.

    Args:
        sweep: a folder with runs below data/raw, outside a clone below the current folder, or an absolute one.
        out: folder of the report; by default `default_out()`.
        reference: published figures to compare with, "" for none.

    Returns:
        The files written.

    Raises:
        MissingPackageError: an extra is not installed.
        ForeignFilesError: the folder holds files that are no part of a report.
        NotebookFailedError: the notebook did not run to its end.
        OptionError: there is no such sweep or dataset.
        ResultsError: the runs cannot be read.
        UnwritableReportError: the folder cannot be made or written.
    """
    options = ReportOptions(sweep=sweep, reference=reference)
    require_report()
    target = (default_out() if out is None else out).absolute()
    refuse_foreign(target, _OURS)
    runs = Sweep.load(options.folder)
    with replaced(target) as folder, fixed_date():
        text = summary.write_summary(runs, options.reference)
        notebooks = execute_findings(options)
        for name, ending in FORMATS.items():
            for stem, notebook in notebooks.items():
                export(notebook, name, folder / f"{stem}{ending}")
        (folder / summary.FILE).write_text(text, encoding="utf-8")
    return sorted(path for path in target.rglob("*") if path.is_file())


def require_report() -> None:
    """Check that all is installed that reports need; raises MissingPackageError."""
    require("the report", "ipykernel", "jinja2", "nbconvert", "nbformat", "papermill", "pikepdf", "pypandoc", "typst")


def execute_findings(options: ReportOptions) -> dict[str, NotebookNode]:
    """Execute the findings notebook in a kernel.

    Returns:
        The report and its appendix as notebooks, without what has no content, by the names of their files.

    Raises:
        NotebookFailedError: the notebook did not run to its end.
    """
    parameters = {"sweep": str(options.folder), "reference": options.reference}
    report, appendix = split_appendix(remove_absent(strip(execute("4_findings", parameters))))
    return {REPORT: report, APPENDIX: appendix}


def execute(name: str, parameters: Mapping[str, Any]) -> NotebookNode:
    """Execute a notebook by papermill, in a folder that is gone afterwards.

    It stays in memory: papermill would write the whole notebook before and after each cell.

    Raises:
        NotebookFailedError: it did not run to its end.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside papermill and its dependencies
        import papermill  # type: ignore[import-untyped]
        from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
        from traitlets.config import Config

    quiet = Config(KernelManager={"transport_encryption": "auto"})  # or the kernel prints a warning about TCP
    with tempfile.TemporaryDirectory() as place:
        try:
            notebook: NotebookNode = papermill.execute_notebook(
                shipped(f"notebooks/{name}.ipynb"),
                None,
                parameters=dict(parameters),
                cwd=place,
                progress_bar=False,
                config=quiet,
            )
        except PapermillExecutionError as error:
            raise NotebookFailedError(f"{error.ename}: {error.evalue}") from error
    return notebook


def strip(notebook: NotebookNode) -> NotebookNode:
    """Take out what differs between two executions: papermill's cell, ids, times and counts."""
    injected = "injected-parameters"
    notebook.cells = [cell for cell in notebook.cells if injected not in cell.metadata.get("tags", ())]
    notebook.metadata = {name: notebook.metadata[name] for name in ("kernelspec",) if name in notebook.metadata}
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
    return notebook


def remove_absent(notebook: NotebookNode) -> NotebookNode:
    """Leave out what only says that something is absent, and headings and words that then have nothing below them.

    The words of a cell of Markdown belong to the cells of code that follow it. One that is followed by a deeper heading
    stays.
    """
    kept: list[NotebookNode] = []
    for cell, below in _group_cells(notebook.cells):
        shown = [one for one in below if one.outputs]
        there = [one for one in shown if not _is_absent(one)]
        if cell is None or there or not shown or _opens_deeper(cell, notebook.cells):
            kept += [] if cell is None else [cell]
            kept += [one for one in below if one in there or not one.outputs]
    notebook.cells = kept
    return notebook


def _group_cells(cells: list[NotebookNode]) -> Iterator[tuple[NotebookNode | None, list[NotebookNode]]]:
    """Give each cell of Markdown, and None for the beginning, with the cells of code up to the next one."""
    words: NotebookNode | None = None
    below: list[NotebookNode] = []
    for cell in cells:
        if cell.cell_type == "code":
            below.append(cell)
        else:
            yield words, below
            words, below = cell, []
    yield words, below


def _is_absent(cell: NotebookNode) -> bool:
    return all(output.get("metadata", {}).get(ABSENT, False) for output in cell.outputs)


def _opens_deeper(cell: NotebookNode, cells: list[NotebookNode]) -> bool:
    """Whether a heading is followed by a deeper one."""
    later = [one for one in cells[cells.index(cell) + 1 :] if one.cell_type == "markdown"]
    levels = [len(one.source) - len(one.source.lstrip("#")) for one in (cell, *later[:1])]
    return len(levels) == 2 and 0 < levels[0] < levels[1]


def split_appendix(notebook: NotebookNode) -> tuple[NotebookNode, NotebookNode]:
    """Split a notebook before its second level-1 heading.

    Returns:
        The report and its appendix; the appendix has no cells if there is no such heading.
    """
    from pubsub_sim.report.exporters.content import find_headings

    titles = [heading.cell for heading in find_headings(notebook) if heading.level == 1]
    at = titles[1] if len(titles) > 1 else len(notebook.cells)
    report, appendix = copy.copy(notebook), copy.copy(notebook)
    report.cells, appendix.cells = notebook.cells[:at], notebook.cells[at:]
    return report, appendix


def export(notebook: NotebookNode, name: str, file: Path, figures: str = FIGURES, **settings: Any) -> None:
    """Export a notebook to one file, and the figures that it shows to a folder beside it.

    Args:
        notebook: executed.
        name: of the exporter, one of `FORMATS`.
        file: to write.
        figures: name of the folder of figures.
        settings: of the exporter.
    """
    from nbconvert.exporters import get_exporter

    resources: dict[str, Any] = {
        "metadata": {"name": file.stem},
        "unique_key": file.stem,
        "output_files_dir": figures,
    }
    exporter = get_exporter(name)(**settings)  # type: ignore[no-untyped-call]
    body, found = exporter.from_notebook_node(notebook, resources)
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    for place, content in sorted((found.get("outputs") or {}).items()):
        path = file.parent / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def refuse_foreign(target: Path, ours: Collection[str]) -> None:
    """Refuse a folder that holds something that is no part of a report; raises ForeignFilesError."""
    if target.is_dir():
        foreign = sorted({path.name for path in target.iterdir()} - set(ours))
        if foreign:
            raise ForeignFilesError(target, foreign)


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Give an empty folder beside the target that takes its place when all went well."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    old = target.with_name(f".{target.name}.{os.getpid()}.old.tmp")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise UnwritableReportError(target, error.strerror or str(error)) from error
    finally:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def fixed_date() -> Iterator[None]:
    """Let exporters write a fixed date, unless the caller has chosen one."""
    name = "SOURCE_DATE_EPOCH"
    if name in os.environ:
        yield
        return
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ.pop(name, None)
