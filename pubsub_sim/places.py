"""Locations of files: in the folders of a clone; for an installed package, in the package and in the current folder."""

from __future__ import annotations

from pathlib import Path

import pubsub_sim


def packages_folder() -> Path:
    """Return the folder that holds this package: the clone, or a folder of installed packages."""
    return Path(pubsub_sim.__file__).resolve().parents[1]


def clone() -> Path | None:
    """Return the clone that contains this package; None if it was installed from a wheel."""
    is_clone = (packages_folder() / "pubsub_sim" / "pyproject.toml").is_file()  # not in wheels
    return packages_folder() if is_clone else None


def working_folder() -> Path:
    """Return the base of the caller's relative paths: the clone, regardless of the current folder, else the current folder."""
    return clone() or Path.cwd()


def data_folder() -> Path:
    """Return the folder for reports, records and pictures: `data` of the clone, or the current folder."""
    root = clone()
    return Path.cwd() if root is None else root / "data"


def local_report_folder(name: str = "report") -> Path:
    """Return where reports are written: `data/local/<name>` of the clone, or that name in the current folder."""
    root = clone()
    return Path.cwd() / name if root is None else root / "data" / "local" / name


def sweeps_folder() -> Path:
    """Return the folder of sweeps: `data/raw` of the clone, or the current folder."""
    root = clone()
    return Path.cwd() if root is None else root / "data" / "raw"


def sweeps_place() -> str:
    """Return `sweeps_folder` as text for messages."""
    return "the current folder" if clone() is None else "data/raw"


def shipped(name: str) -> Path:
    """Return a file or folder that is in the clone and in the wheel.

    Args:
        name: its path in the clone, such as "data/reference".
    """
    return (clone() or packages_folder() / "pubsub_sim" / "shipped") / name
