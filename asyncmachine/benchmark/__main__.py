"""The command: `python -m asyncmachine.benchmark [--rounds N] [--out FILE.json] [--only NAME,...]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.rounds import OrphanedError, run
from asyncmachine.benchmark.text import shown
from asyncmachine.benchmark.timing import Effort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.benchmark.rounds import Results


class _RefusedError(Exception):
    """A command line that cannot be used, in one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _RefusedError(f"{message}; --help lists the flags")


def main(arguments: Sequence[str]) -> int:
    """Measure and show.

    Args:
        arguments: Words of the command line.

    Returns:
        The exit status: 0; 2 for bad input; 130 if it was interrupted. A workload that failed is a row that says why.
    """
    try:
        options = _options(arguments)
        results = run(
            options.only,
            rounds=options.rounds,
            effort=Effort(batch_s=options.batch_s),
            progress=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201  # a command's progress
            parent=options.parent,
        )
        if options.out is not None:
            _write(results, options.out)
    except (_RefusedError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (KeyboardInterrupt, OrphanedError):
        sys.stderr.write("interrupted, nothing is stored\n")
        return 130
    sys.stdout.write(shown(results))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m asyncmachine.benchmark",
        description="Measure what the engine costs, beside other libraries where they are installed.",
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=_rounds, default=5, help="how often each workload is measured (default: 5)")
    parser.add_argument("--out", type=Path, help="also write all samples there, as JSON")
    parser.add_argument("--only", type=_names, default=tuple(WORKLOADS), help="workloads, with commas (default: all)")
    parser.add_argument(
        "--batch-s", type=float, default=Effort.batch_s, help="processor time of one batch, s (default: %(default)s)"
    )
    parser.add_argument("--parent", type=int, help="end when the process of this id, the parent, does")
    return parser.parse_args(arguments)


def _rounds(text: str) -> int:
    rounds = int(text) if text.isascii() and text.isdigit() else 0
    if rounds < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return rounds


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in WORKLOADS:
            near = get_close_matches(name, WORKLOADS, n=1)
            known = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(WORKLOADS)}"
            raise argparse.ArgumentTypeError(f"there is no workload {name!r}, {known}")
    return names


def _write(results: Results, path: Path) -> None:
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        hidden.write_text(json.dumps(results.to_dict(), indent=1) + "\n", encoding="utf-8")
        hidden.replace(path)
    except OSError as error:
        raise _RefusedError(f"cannot write {path}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
