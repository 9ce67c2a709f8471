"""The packages that are not in the standard library: which extra brings each, and one sentence for one that is missing."""

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
"""What is imported to the package that has it, and to the extra of pubsub-sim that brings it; "" if every install does."""


class MissingPackageError(CallerError, ImportError):
    """Raised when something is asked for that needs a package which is not installed.

    Attributes:
        what: what was asked for, as words.
        package: the missing package.
        extra: the extra of pubsub-sim that brings it, "" if every install does.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        wanted = f"'pubsub-sim[{extra}]'" if extra else package
        super().__init__(f"{what} needs the package {package!r}, which is not installed: pip install {wanted}")
        self.what = what
        self.package = package
        self.extra = extra


@contextmanager
def explain_missing(what: str) -> Iterator[None]:
    """Turn the import error of a package that is not installed into one sentence with the line that installs it.

    Args:
        what: what needs the package, as the subject of the sentence.

    Raises:
        MissingPackageError: an import inside did not find one of `PACKAGES`.
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
        what: what needs them, as the subject of the sentence.
        modules: top-level names of imports, which are among `PACKAGES`.

    Raises:
        MissingPackageError: the first of them that is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingPackageError(what, *PACKAGES[module])
