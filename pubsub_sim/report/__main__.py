"""The command `report` without the others: `python -m pubsub_sim.report`."""

from __future__ import annotations

import sys

from pubsub_sim.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
