"""The third-party packages and their extras, and the error for a missing one."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pubsub_sim.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES: dict[str, tuple[str, str]] = {
    "asyncmachine": ("asyncmachine", ""),
    "google": ("protobuf", ""),
    "nacl": ("pynacl", ""),
    "uvloop": ("uvloop", ""),
    "cryptography": ("cryptography", "libp2p"),
    "IPython": ("ipykernel", "lab"),
    "bs4": ("beautifulsoup4", "lab"),
    "ipykernel": ("ipykernel", "lab"),
    "jinja2": ("jinja2", "lab"),
    "matplotlib": ("matplotlib", "lab"),
    "nbconvert": ("nbconvert", "lab"),
    "nbformat": ("nbformat", "lab"),
    "numpy": ("numpy", "lab"),
    "pandas": ("pandas", "lab"),
    "papermill": ("papermill", "lab"),
    "bokeh": ("bokeh", "lab"),
    "pyarrow": ("pyarrow", "lab"),
    "seaborn": ("seaborn", "lab"),
    "tqdm": ("tqdm", "lab"),
    "traitlets": ("traitlets", "lab"),
    "pikepdf": ("pikepdf", "pdf"),
    "pypandoc": ("pypandoc-binary", "pdf"),
    "typst": ("typst", "pdf"),
    "distributed": ("distributed", "dask"),
    "prometheus_client": ("prometheus-client", "simulator"),
    "rich": ("rich", "simulator"),
    "yaml": ("pyyaml", "simulator"),
}
"""Package and extra of pubsub-sim by imported module; the extra is "" for required dependencies."""


class MissingPackageError(CallerError, ImportError):
    """Raised when a feature needs a package that is not installed.

    Attributes:
        what: the requested feature, as text.
        package: the missing package.
        extra: the extra of pubsub-sim that includes it, "" for a required dependency.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        wanted = f"'pubsub-sim[{extra}]'" if extra else package
        super().__init__(f"{what} needs the package {package!r}, which is not installed: pip install {wanted}")
        self.what = what
        self.package = package
        self.extra = extra


@contextmanager
def explain_missing(what: str) -> Iterator[None]:
    """Convert the import error of a missing package into an error with the install command.

    Args:
        what: the feature that needs the package, as the subject of the sentence.

    Raises:
        MissingPackageError: one of `PACKAGES` could not be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = PACKAGES.get((error.name or "").split(".")[0])
        if missing is None:
            raise
        raise MissingPackageError(what, *missing) from error


def require(what: str, *modules: str) -> None:
    """Check that packages are installed, without importing them.

    Args:
        what: the feature that needs them, as the subject of the sentence.
        modules: top-level modules listed in `PACKAGES`.

    Raises:
        MissingPackageError: names the first missing one.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingPackageError(what, *PACKAGES[module])
