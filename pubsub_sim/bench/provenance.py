"""Provenance of a measurement: facts of code, interpreter and machine. Nothing in it names a person or a host."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from pubsub_sim.bench.sources import digest, imported
from pubsub_sim.places import clone, packages_folder

RUN_STARTS = ("pubsub_sim/bench/start.py", "pubsub_sim/bench/worker.py", "pubsub_sim/drivers")
"""Where a run of the scenario starts; versions are imported by name, so that nothing leads to them."""

PACKAGES = ("asyncmachine", "pubsub_sim")
"""What is measured; an installed package lies among others."""

ENGINE_STARTS = ("asyncmachine/benchmark",)
"""Where a run of the engine's benchmark starts."""

SIMULATION_STARTS = ("pubsub_sim/bench/simulation_worker.py", "pubsub_sim/drivers")
"""Where a simulation of a sweep starts."""

LOAD_STARTS = ("pubsub_sim/bench/load_worker.py", "pubsub_sim/drivers")
"""Where a run under load starts."""


def of_the_sweep() -> dict[str, Any]:
    """Collect the facts that stay the same during a sweep.

    Returns:
        commit and dirty (None outside a clone with git), sources (hash of the measured files), python, implementation,
        uvloop, protobuf, pynacl, cpu (model), cpus (usable), machine, kernel and libc.
    """
    status = _git("status", "--porcelain")
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "sources": measured_sources(packages_folder()),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "uvloop": installed("uvloop"),
        "protobuf": installed("protobuf"),
        "pynacl": installed("pynacl"),
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
    }


def of_the_moment() -> dict[str, Any]:
    """Collect the facts that differ in every run: utc and load_average (runnable processes, last minute)."""
    return {
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load_average": round(os.getloadavg()[0], 2),
    }


def of_the_engine() -> dict[str, Any]:
    """Collect the facts of a run of the engine's benchmark: those of a sweep, with the hash of the files that take part in it."""
    return {**of_the_sweep(), "sources": measured_sources(packages_folder(), ENGINE_STARTS)}


def of_a_simulation() -> dict[str, Any]:
    """Collect the facts of a simulation: those of a sweep, with the hash of the files that take part in it."""
    return {**of_the_sweep(), "sources": measured_sources(packages_folder(), SIMULATION_STARTS)}


def of_a_load() -> dict[str, Any]:
    """Collect the facts of a run under load: those of a sweep, with the hash of the files that take part in it."""
    return {**of_the_sweep(), "sources": measured_sources(packages_folder(), LOAD_STARTS)}


def installed(name: str) -> str | None:
    """Give the version of an installed distribution, None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def measured_sources(root: Path, starts: tuple[str, ...] = RUN_STARTS) -> str:
    """Hash everything whose change could change a measurement.

    Args:
        root: folder that holds both packages.
        starts: files and folders below it where the measured process starts; by default those of a run of the scenario.

    Returns:
        Hexadecimal SHA-256 over the names and contents of the Python files that such a process can import.
    """
    return digest(root, imported(root, starts, PACKAGES))


def _git(*arguments: str) -> str | None:
    root = clone()
    if root is None:  # a folder of installed packages may lie in somebody's checkout
        return None
    try:
        answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
