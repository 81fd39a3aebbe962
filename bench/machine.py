"""What a figure was measured on: the machine and the versions, kept with every result."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "telebot",
    "pipecat-ai",
    "aiohttp",
    "uvloop",
    "onnxruntime",
    "numpy",
    "orjson",
    "fastapi",
    "uvicorn",
    "websockets",
    "aiortp",
)


def _first(path: str, key: str) -> str:
    """The value of the first `key: value` line of a file under /proc."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "unknown"
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith(key)), "unknown")


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "-"
    return found


def describe() -> dict[str, object]:
    """CPU model, cores, memory, kernel, Python, versions, and how busy the machine was before."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count() or 0,
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": [round(x, 2) for x in os.getloadavg()],
        "versions": _versions(),
    }


def slug(machine: dict[str, object]) -> str:
    """A short name for files: the CPU and the cores, nothing that names the host."""
    cpu = "".join(c if c.isalnum() else "-" for c in str(machine["cpu"]).lower()).strip("-")
    return f"{'-'.join(x for x in cpu.split('-') if x)[:32]}-{machine['cores']}core"
