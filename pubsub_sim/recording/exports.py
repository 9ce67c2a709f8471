"""Export of a recorded run in all formats into a folder, which is replaced atomically, and to an OpenTelemetry collector.

Each failure is reported as a sentence, without affecting the other formats.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncmachine.errors import AsyncMachineError
from asyncmachine.export.files import UnwritableFileError
from asyncmachine.record import Record
from pubsub_sim.packages import MissingPackageError
from pubsub_sim.recording.playing import play_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pubsub_sim.recording.options import PlayOptions
    from pubsub_sim.recording.playing import Played

RECORD = "run.sqlite"


def play_and_export(runs: Mapping[str, PlayOptions], folder: Path) -> dict[str, tuple[Played, list[str]]]:
    """Play runs, then write the record of each in every format; existing files are replaced when all are complete.

    An interrupted run is the last one.

    Args:
        runs: the runs by name of their folders.
        folder: the parent of the folders; others in it are unchanged.

    Returns:
        For each run played, its result and a sentence for each file that could not be written.

    Raises:
        asyncmachine.record.RecordError: a record cannot be created there.
        UnwritableFileError: a folder cannot be created or replaced.
    """
    hidden = folder / f".{os.getpid()}.tmp"
    played: dict[str, Played] = {}
    try:
        for name, options in runs.items():
            (hidden / name).mkdir(parents=True)
            played[name] = play_recorded(options, hidden / name / RECORD)
            if played[name].outcome == "interrupted":
                break
        # after all runs, as a page also shows the run of another version
        problems = dict(zip(played, _each([hidden / name for name in played]), strict=True))
        for name in played:
            _put_in_place(hidden / name, folder / name)
    except OSError as error:
        raise UnwritableFileError(folder, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return {name: (became, problems[name]) for name, became in played.items()}


def _each(folders: Sequence[Path]) -> list[list[str]]:
    """Export the record of each folder, in parallel processes if there are several, as pages take seconds."""
    if len(folders) == 1:
        return [_export_folder(folders[0])]
    with ProcessPoolExecutor(len(folders), mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_export_folder, folders))


def _export_folder(folder: Path) -> list[str]:
    with Record.open(folder / RECORD) as record:
        return export_record(record, folder)


def export_record(record: Record, folder: Path) -> list[str]:
    """Write a record in every format except its own.

    Args:
        record: the record.
        folder: an existing folder.

    Returns:
        A sentence for each format that could not be written.
    """
    warnings = []
    for write, path in _forms(record, folder):
        try:
            write(record, path)
        except (AsyncMachineError, MissingPackageError) as error:
            warnings.append(f"{path.name}: {error}")
    return warnings


def _forms(record: Record, folder: Path) -> Iterator[tuple[Callable[[Record, Path], object], Path]]:
    from asyncmachine.export.jaeger import write_jaeger
    from asyncmachine.export.otlp import write_otlp
    from asyncmachine.export.perfetto import write_perfetto
    from pubsub_sim.recording.page import write_page

    yield write_jaeger, folder / "jaeger.json"
    yield write_otlp, folder / "otlp.jsonl"
    yield write_perfetto, folder / "perfetto.json"
    yield write_page, folder / "run.html"
    if record.machines:
        from asyncmachine.export.amdbg_dump import write_dump

        yield write_dump, folder / "am-dbg.gob.br"


def send(record: Record, endpoint: str) -> str:
    """Send a record to an OpenTelemetry collector.

    Args:
        record: the record.
        endpoint: the collector's address: http:// or https:// for OTLP over HTTP, grpc:// for OTLP over gRPC.

    Returns:
        The error as a sentence; empty on success.
    """
    from asyncmachine.export.otlp import send_otlp

    try:
        if endpoint.startswith("grpc://"):
            send_otlp(record, endpoint.replace("grpc://", "http://", 1), "grpc")
        else:
            send_otlp(record, endpoint)
    except AsyncMachineError as error:
        return str(error)
    return ""


def _put_in_place(made: Path, folder: Path) -> None:
    """Replace a folder by another one."""
    former = made.with_name(f"{made.name}.old")
    with suppress(FileNotFoundError):
        folder.rename(former)
    made.rename(folder)
