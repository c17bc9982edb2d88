"""`make observe`: a real Prometheus with our rules against a running gateway, until Ctrl-C."""

import argparse
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from dashboards.generate import GENERATED
from dashboards.programs import NotHere, find
from dashboards.scraping import prometheus_settings

_DATA: Final = Path("reports/observe")
_PORT: Final = 9090


def laid_out(
    folder: Path, targets: Mapping[str, Sequence[str]], *, port: int, every: str, environment: str
) -> list[str]:
    """Writes the settings and our rules into `folder`; the words that start Prometheus there. Raises NotHere."""
    folder.mkdir(parents=True, exist_ok=True)
    own = f"127.0.0.1:{port}"
    settings = prometheus_settings(targets, every=every, environment=environment, own=own, alertmanagers=())
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    shutil.copytree(GENERATED / "prometheus" / "rules", folder / "rules", dirs_exist_ok=True)
    return [
        str(find("prometheus")),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={own}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns Prometheus' exit status; 2 when there is none."""
    parser = argparse.ArgumentParser(prog="make observe", description=__doc__)
    parser.add_argument(
        "--gateway",
        action="append",
        help="host:port of a worker's own door; may be given again (default: 127.0.0.1:18800)",
    )
    parser.add_argument("--carrier", action="append", default=[], help="host:port of a `textbank carrier`")
    parser.add_argument("--load", action="append", default=[], help="host:port of a load generator")
    parser.add_argument(
        "--environment", default="local", help="what the series are said to be of (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=_PORT, help="Prometheus' own (default: %(default)s)")
    parser.add_argument("--every", default="5s", help="how often it looks (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=_DATA, help="where it keeps its data (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    targets = {
        "textbank": given.gateway or ["127.0.0.1:18800"],
        "textbank-carrier": given.carrier,
        "textbank-load": given.load,
    }
    try:
        words = laid_out(
            given.folder, targets, port=given.port, every=given.every, environment=given.environment
        )
    except NotHere as why:
        sys.stderr.write(f"{why}\n")
        return 2
    sys.stderr.write(f"Prometheus: http://127.0.0.1:{given.port}/alerts and /graph; Ctrl-C ends it\n")
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.run(words, check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
