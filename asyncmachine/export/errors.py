"""The errors of exporters and importers."""

from __future__ import annotations

from asyncmachine.errors import AsyncMachineError


class ExportError(AsyncMachineError):
    """Base of the errors of exporters, and of readers of other programs' formats."""


class MissingExtraError(ExportError):
    """A format needs a package that is not installed.

    Attributes:
        what: Description of the requested feature.
        package: The missing package.
        extra: The extra of `asyncmachine` that includes it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.what = what
        self.package = package
        self.extra = extra
        super().__init__(f"{what} needs the package {package!r}: pip install 'asyncmachine[{extra}]'")
