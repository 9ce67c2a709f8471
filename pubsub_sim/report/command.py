"""The command `report`: its flags, its work and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pubsub_sim.flags import FlagError
from pubsub_sim.report.build import build_report, default_out
from pubsub_sim.report.options import LOCAL, PUBLISHED, ReportOptions
from pubsub_sim.report.summary import is_stale

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise FlagError(message)


def make_parser(command: str, summary: str) -> argparse.ArgumentParser:
    """Give the parser of a command; it refuses words by raising a CommandLineError."""
    return _Parser(prog=f"python -m pubsub_sim {command}", description=summary, allow_abbrev=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the command."""
    parser.add_argument(
        "--sweep",
        default=ReportOptions.sweep,
        help=f"a folder with runs below data/raw, or an absolute one (default: {LOCAL} or, if not measured here, {PUBLISHED})",
    )
    parser.add_argument(
        "--reference",
        default=ReportOptions.reference,
        help='published figures below data/reference to compare with, "" for none (default: %(default)s)',
    )
    parser.add_argument("--out", type=Path, default=None, help="folder of the report (default: data/local/report)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say whether the report agrees with its runs"
    )


def main(arguments: argparse.Namespace) -> int:
    """Write the report, or check the one that is there.

    Args:
        arguments: what `add_arguments` declared.

    Returns:
        0, or 1 if a report that was to be checked is stale.

    Raises:
        PubsubSimError: the report cannot be written.
    """
    if arguments.check:
        stale = is_stale(arguments.out or default_out())
        verdict = "does not agree with its runs; write it again" if stale else "agrees with its runs"
        sys.stdout.write(f"the report {verdict}\n")
        return int(stale)
    for path in build_report(arguments.sweep, arguments.out, arguments.reference):
        sys.stdout.write(f"{path.name}: {path.stat().st_size:,} bytes\n")
    return 0


def report_command(arguments: Sequence[str]) -> int:
    """Run the command from its words.

    Returns:
        0, or 1 if a report that was to be checked is stale.

    Raises:
        PubsubSimError: bad flags, or the report cannot be written.
    """
    parser = make_parser("report", "Write the report of a sweep.")
    add_arguments(parser)
    return main(parser.parse_args(arguments))
