"""What a load test ran on: a figure without its machine says nothing."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

_PROGRAMS: Final = ("textbank", "locust", "gevent", "aiohttp", "asyncpg")
_CPUS: Final = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    """Facts of this machine and its programs, by name."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "processor": f"{_processor()}, {psutil.cpu_count() or 1} cores",
        "memory": f"{psutil.virtual_memory().total / 1e9:,.0f} GB",
        "load of 1, 5 and 15 minutes": load,
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "programs": ", ".join(f"{name} {_version(name)}" for name in _PROGRAMS),
    }


def _processor() -> str:
    lines = _CPUS.read_text().splitlines() if _CPUS.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
