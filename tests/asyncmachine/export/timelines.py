"""Records to draw, and what a page holds, taken apart."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncmachine import LogLevel, Machine
from asyncmachine.export.timeline.columns import unpacked
from asyncmachine.record import Recorder

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "</script><script>alert(1)</script><b>&\"'"
LAMP = {
    "On": {"remove": ["Off"]},
    "Off": {"remove": ["On"]},
    "Bright": {"require": ["On"]},
    "Pressed": {"multi": True},
    "Warm": {"auto": True, "require": ["Bright"]},
}


class Pressing:
    """Handlers that make mutations, refuse one, and fail once."""

    def PressedState(self, event: Any) -> None:
        event.add("On")

    def BrightEnter(self, event: Any) -> bool:
        return not event.args.get("refuse")


def play(path: Path, level: Any = "full", *, name: str = "lamp", children: int = 2) -> None:
    """Record a little program: spans, points of two flows, machines with children, refused and automatic mutations."""
    with Recorder(path, level, log=level == "full") as recorder:
        with recorder.span("test", note=name) as test:
            for round_ in range(3):
                with test.span("round", number=round_):
                    sent = test.point("sent", flow=f"message {round_}", text=name)
                    test.point("received", flow=f"message {round_}", link=sent)
            host = test.span("host")
            lamp = Machine(LAMP, handlers=Pressing(), id=name)
            lamp.log_args = lambda args: {key: str(value) for key, value in args.items()}
            lamp.log_level = LogLevel.OPS
            recorder.bind(lamp, span=host)
            for number in range(3):
                lamp.add("Pressed", by=name, number=number)
                lamp.add("Bright", refuse=True)
                lamp.add("Bright")
                lamp.remove("Pressed")
                lamp.add("Off")
                lamp.add("Bright")
            for number in range(children):
                child = Machine(LAMP, id=f"{name}-{number}", parent=lamp)
                child.add("On")
                child.add("Bright")
            host.point("noticed")
            host.end()
        recorder.point("over")


class Page(NamedTuple):
    """The content of a page."""

    header: dict[str, Any]
    columns: dict[str, list[int]]

    def lanes(self, kind: str) -> list[int]:
        """Numbers of the lanes of a kind."""
        return [number for number, lane in enumerate(self.header["lanes"]) if lane[1] == kind]

    def bars(self, lane: int) -> list[tuple[int, int, int]]:
        """Begin, end (events) and number of each bar of a lane."""
        c = self.columns
        part = slice(c["bar_from"][lane], c["bar_from"][lane + 1])
        return list(zip(c["bar_begin"][part], c["bar_end"][part], c["bar_info"][part], strict=True))

    def marks(self, lane: int) -> list[int]:
        """The events of a lane."""
        return self.columns["mark_event"][self.columns["mark_from"][lane] : self.columns["mark_from"][lane + 1]]

    def label(self, lane: int) -> str:
        """The name of a lane."""
        return str(self.header["lanes"][lane][2])


def opened(page: str) -> Page:
    """Read the data that lie in a page."""
    (text,) = re.findall(r'<script type="text/plain" id="data">([^<]*)</script>', page)
    return Page(*unpacked(text))


def framed(bundle: dict[str, str]) -> str:
    """Give the page inside the iframe of an output."""
    (text,) = re.findall(r'srcdoc="([^"]*)"', bundle["text/html"])
    return html.unescape(text)
