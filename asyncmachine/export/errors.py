"""What can go wrong when something is exported, or an export is read."""

from __future__ import annotations

from asyncmachine.errors import AsyncMachineError


class ExportError(AsyncMachineError):
    """Base of the errors of exporters, and of readers of other programs' formats."""


class MissingExtraError(ExportError):
    """A format needs a package that is not installed.

    Attributes:
        what: What was asked for, in words.
        package: The missing package.
        extra: The extra of `asyncmachine` that brings it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.what = what
        self.package = package
        self.extra = extra
        super().__init__(f"{what} needs the package {package!r}: pip install 'asyncmachine[{extra}]'")
