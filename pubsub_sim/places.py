"""Where files lie: a clone keeps them in its folders; an installed package brings its own and writes to the current folder."""

from __future__ import annotations

from pathlib import Path

import pubsub_sim


def packages_folder() -> Path:
    """Return the folder that holds this package: the clone, or a folder of installed packages."""
    return Path(pubsub_sim.__file__).resolve().parents[1]


def clone() -> Path | None:
    """Return the clone that this package lies in, None if it was installed from a wheel."""
    is_clone = (packages_folder() / "pubsub_sim" / "pyproject.toml").is_file()  # no wheel holds it
    return packages_folder() if is_clone else None


def working_folder() -> Path:
    """Return where relative paths of the caller start: at the clone, wherever Python was started, or at the current folder."""
    return clone() or Path.cwd()


def data_folder() -> Path:
    """Return where reports, records and pictures are written: `data` of the clone, or the current folder."""
    root = clone()
    return Path.cwd() if root is None else root / "data"


def local_report_folder(name: str = "report") -> Path:
    """Return where reports are written: `data/local/<name>` of the clone, or that name in the current folder."""
    root = clone()
    return Path.cwd() / name if root is None else root / "data" / "local" / name


def sweeps_folder() -> Path:
    """Return where the folders of sweeps lie: `data/raw` of the clone, or the current folder."""
    root = clone()
    return Path.cwd() if root is None else root / "data" / "raw"


def sweeps_place() -> str:
    """Return `sweeps_folder` as words, for sentences."""
    return "the current folder" if clone() is None else "data/raw"


def shipped(name: str) -> Path:
    """Return a file or folder that every clone and every wheel has.

    Args:
        name: its path in the clone, such as "data/reference".
    """
    return (clone() or packages_folder() / "pubsub_sim" / "shipped") / name
