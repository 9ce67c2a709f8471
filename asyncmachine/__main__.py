"""The command line: `python -m asyncmachine record ...`."""

from __future__ import annotations

import sys

from asyncmachine.record.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
