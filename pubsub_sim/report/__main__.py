"""The command `report` without the others: `python -m pubsub_sim.report`."""

from __future__ import annotations

import sys

from pubsub_sim.errors import PubsubSimError
from pubsub_sim.report.command import report_command

if __name__ == "__main__":
    try:
        sys.exit(report_command(sys.argv[1:]))
    except PubsubSimError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
