"""What a process prints: its last MiB, the phases that it tells, and how the end of it is quoted in a sentence."""

from __future__ import annotations

import re

KEPT_BYTES = 2**20
"""How much of each of a process's streams is kept: the last of it."""

_PHASE = b"phase: "
_LONGEST_PHASE = 200
_QUOTED = 200
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/'\"]+/)+")


class Printed:
    """The end of what was printed on one stream.

    Attributes:
        total: bytes printed in all.
    """

    def __init__(self) -> None:
        self.total = 0
        self._kept = bytearray()

    def add(self, piece: bytes) -> None:
        """Take in what was printed next."""
        self.total += len(piece)
        self._kept += piece
        if len(self._kept) > 2 * KEPT_BYTES:
            del self._kept[:-KEPT_BYTES]

    @property
    def last(self) -> bytes:
        """The last MiB, or all if it is less."""
        return bytes(self._kept[-KEPT_BYTES:])

    @property
    def is_whole(self) -> bool:
        """Whether nothing was dropped."""
        return self.total <= KEPT_BYTES


class Log(Printed):
    """The end of what was printed on stderr, and the phase that was told last.

    Attributes:
        phase: its name; "" before the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.phase = ""
        self._line = b""

    def add(self, piece: bytes) -> None:
        """Take in what was printed next; only whole lines tell a phase."""
        super().add(piece)
        *lines, rest = (self._line + piece).split(b"\n")
        for line in lines:
            if line.startswith(_PHASE):
                name = line[len(_PHASE) :][:_LONGEST_PHASE].decode(errors="replace")
                self.phase = " ".join(name.split()) or self.phase
        self._line = rest[: len(_PHASE) + _LONGEST_PHASE]

    def text(self) -> str:
        """Give what was logged: the kept lines that tell no phase."""
        lines = [line for line in self.last.splitlines() if line.strip() and not line.startswith(_PHASE)]
        return b"\n".join(lines).decode(errors="replace")


def quote_end(stdout: Printed, log: Log) -> str:
    """Quote the end of what a process printed, for the end of a sentence; "" if it printed nothing but phases."""
    quotes = []
    for name, text in (("stderr", log.text()), ("stdout", stdout.last.decode(errors="replace"))):
        last = one_line(text[-4 * _QUOTED :])[-_QUOTED:]
        if last:
            quotes.append(f"{name} ends with {last!r}")
    return "; " + ", ".join(quotes) if quotes else ""


def one_line(text: str) -> str:
    """Bring a text into one line without absolute paths: records are published and must not tell whose machine it was."""
    return _FOLDERS.sub("", " ".join(text.split()))
