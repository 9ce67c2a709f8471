"""Log levels and the format of log lines.

Levels, the line prefix and the allow-list of arguments. Texts follow asyncmachine-go 0.19.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LOG_ARGS = ("name", "id", "port", "addr", "err", "path", "url", "uri")


class LogLevel(IntEnum):
    """How much a machine writes: each level includes the ones before it."""

    NOTHING = 0
    EXTERNAL = 1
    CHANGES = 2
    OPS = 3
    DECISIONS = 4
    EVERYTHING = 5


def args_mapper(names: Iterable[str] = LOG_ARGS, max_len: int = 20) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """Return a function that selects loggable arguments and truncates their texts to `max_len` characters.

    Other arguments are never logged. Truncated values end in `...`, except for a `max_len` below five.
    """
    allowed = frozenset(names)

    def pick(args: Mapping[str, Any]) -> dict[str, str]:
        return {key: _cut(str(args[key]), max_len) for key in sorted(args) if key in allowed}

    return pick


def _cut(text: str, max_len: int) -> str:
    if len(text) <= max_len:
        return text
    return text[:max_len] if max_len < 5 else text[: max_len - 3] + "..."


def args_suffix(picked: Mapping[str, str]) -> str:
    """Return arguments as the end of a log line, sorted by name; empty if there are none."""
    if not picked:
        return ""
    return f" ({' '.join(f'{key}={picked[key]}' for key in sorted(picked))})"


def line(machine_id: str, text: str) -> str:
    """Return a complete log line: the first five characters of the machine's id, and the text on one line."""
    return f"[{machine_id[:5]}] {text}"
