"""The `record` command: inspects and exports a record."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from asyncmachine.errors import AsyncMachineError
from asyncmachine.record.questions import Record, transition_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncmachine.record.format import RecordedTransition


class Format(NamedTuple):
    """An export format."""

    module: str
    function: str
    """Name of a function of the record and the path."""
    suffix: str


FORMATS = {
    "jaeger": Format("asyncmachine.export.jaeger", "write_jaeger", ".jaeger.json"),
    "otlp": Format("asyncmachine.export.otlp", "write_otlp", ".otlp.jsonl"),
    "am-dbg": Format("asyncmachine.export.amdbg_dump", "write_dump", ".gob.br"),
    "perfetto": Format("asyncmachine.export.perfetto", "write_perfetto", ".perfetto.json"),
}


class _UsageError(AsyncMachineError):
    """Raised for an invalid command line."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises one-sentence errors instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see --help")


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The words of the command line.

    Returns:
        The exit status: 0; 1 if two records differ; 2 for bad input.
    """
    try:
        options = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], Iterator[str]] = options.run
        status = 0
        for line in run(options):
            sys.stdout.write(line + "\n")
            status = 1 if options.status_if_told else 0
        return status
    except AsyncMachineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m asyncmachine", description="Inspect recorded runs.")
    parser.set_defaults(status_if_told=False)
    areas = parser.add_subparsers(required=True, metavar="AREA", parser_class=_Parser)
    record = areas.add_parser("record", help="inspect a recorded run", description="Inspect a recorded run.")
    commands = record.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, summary: str, run: Callable[[argparse.Namespace], Iterator[str]]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    show = command("show", "Print the contents of a record: the run, its machines and, on request, transitions.", _show)
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--machine", metavar="ID", help="print the transitions of this machine")
    show.add_argument("--all", action="store_true", help="print all transitions")
    show.add_argument("--refused", action="store_true", help="print refused transitions only")
    show.add_argument("--after", type=int, default=0, metavar="SEQ", help="print those numbered higher")
    show.add_argument("--last", type=int, metavar="N", help="print the last N only")
    _add_clock(show)
    why = command("why", "Print the chain of causes of a transition.", _why)
    why.add_argument("file", type=Path, metavar="FILE")
    why.add_argument("transition", metavar="TRANSITION", help="its number, or its id such as client-17")
    _add_clock(why)
    blocked = command("blocked", "Print what refused a state, and how often.", _blocked)
    blocked.add_argument("file", type=Path, metavar="FILE")
    blocked.add_argument("state", metavar="STATE")
    blocked.add_argument("--machine", metavar="ID", help="of this machine only")
    diff = command("diff", "Print the first difference between two records; exit status 1 if there is one.", _diff)
    diff.add_argument("file", type=Path, metavar="FILE")
    diff.add_argument("other", type=Path, metavar="OTHER")
    diff.set_defaults(status_if_told=True)
    export = command("export", "Write a record in another program's format, or send it to a collector.", _export)
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--to", required=True, choices=FORMATS, help="the format")
    export.add_argument("--out", type=Path, metavar="PATH", help="the file to write; next to the record by default")
    export.add_argument("--endpoint", metavar="URL", help="with --to otlp: send it there instead")
    export.add_argument("--protocol", choices=("http", "grpc"), default="http", help="of the endpoint")
    _add_clock(export)
    return parser


def _add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clock", choices=("wall", "loop"), help="of all times; by default the event loop's own, if it had one"
    )


def _show(options: argparse.Namespace) -> Iterator[str]:
    with Record.open(options.file, options.clock) as record:
        yield from _facts(record)
        if not (options.machine or options.all or options.refused or options.last or options.after):
            return
        machine = None if options.machine is None else record.machine(options.machine).number
        chosen = [
            one
            for one in record.transitions(machine, after=options.after)
            if not (options.refused and one.change.accepted)
        ]
        yield ""
        for transition in chosen if options.last is None else chosen[-options.last :]:
            yield _line(record, transition)


def _facts(record: Record) -> Iterator[str]:
    run = record.run
    state = "" if run["is_closed"] else ", not closed: still running, or its program was killed"
    yield f"{record.path}: run {run['id']}, level {record.level}, {record.end_ns / 1e9:.6f} s on the {record.clock} clock{state}"
    for name, value in run["attributes"].items():
        yield f"  {name}: {value}"
    for fact, text in (("dropped", "the oldest transitions dropped"), ("lost", "transitions lost")):
        if run[fact]:
            yield f"  {run[fact]} {text}"
    if run["failure"]:
        yield f"  recording stopped: {run['failure']}"
    counts = dict(record.transition_counts())
    yield f"{len(record.machines)} machines, {sum(counts.values())} transitions"
    names = {machine.number: machine.id for machine in record.machines}
    for machine in record.machines:
        parent = "" if machine.parent is None else f" of {names[machine.parent]}"
        yield f"  {machine.id}{parent}: {len(machine.states)} states, {counts.get(machine.number, 0)} transitions"


def _line(record: Record, transition: RecordedTransition) -> str:
    ids = {number: machine.id for number, machine in record.all_machines.items()}
    return f"{transition.seq:>8} {transition.time_ns / 1e6:14.6f} ms  {transition_text(transition, ids)}"


def _why(options: argparse.Namespace) -> Iterator[str]:
    with Record.open(options.file, options.clock) as record:
        for transition in record.why(record.find(options.transition)):
            yield _line(record, transition)


def _blocked(options: argparse.Namespace) -> Iterator[str]:
    with Record.open(options.file) as record:
        refusals = record.blocked(options.state, options.machine)
        for refusal in refusals:
            yield f"{refusal.times:>8} {refusal.text}  ({', '.join(refusal.machines)}; last: {refusal.last_seq})"
        if not refusals:
            yield f"nothing has refused {options.state}"


def _diff(options: argparse.Namespace) -> Iterator[str]:
    with Record.open(options.file) as mine, Record.open(options.other) as other:
        difference = mine.diff(other)
        if difference is not None:
            yield f"{difference.what} {difference.position + 1} differs"
            yield f"  {options.file}: {difference.mine or 'missing'}"
            yield f"  {options.other}: {difference.other or 'missing'}"


def _export(options: argparse.Namespace) -> Iterator[str]:
    chosen = FORMATS[options.to]
    module = importlib.import_module(chosen.module)
    with Record.open(options.file, options.clock) as record:
        if options.endpoint is not None:
            if options.to != "otlp":
                raise _UsageError(f"--endpoint requires --to otlp, not --to {options.to}")
            sent = module.send_otlp(record, options.endpoint, options.protocol)
            yield f"sent to {options.endpoint}: {sent}"
            return
        path = options.out or options.file.with_suffix(chosen.suffix)
        written = getattr(module, chosen.function)(record, path)
        yield f"{path}: {path.stat().st_size:,} bytes" + ("" if written is None else f", {written}")
