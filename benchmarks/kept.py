"""How figures are kept: with the machine, its load, the commit and the time at which they were measured."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def keep(path: Path, **figures: object) -> None:
    """Writes them in place of those of the last run."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    kept = {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        },
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **figures,
    }
    path.write_text(json.dumps(kept, indent=2) + "\n")
