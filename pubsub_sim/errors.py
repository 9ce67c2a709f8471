"""Which errors may a caller of this package see? Each carries its facts as attributes."""

from __future__ import annotations


class PubsubSimError(Exception):
    """Base of every error raised on purpose by this package."""


class OptionError(PubsubSimError, ValueError):
    """An option has a value that cannot be used.

    Attributes:
        option: name of the option.
        value: the value that was given.
        expected: what would have been right, in words.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(option, value, expected)
        self.option = option
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.option}: expected {self.expected}, got {self.value!r}"
