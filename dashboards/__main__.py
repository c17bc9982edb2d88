"""`python -m dashboards`: writes dashboards/generated anew, or a copy of it with an operator's own addresses."""

import argparse
import sys
from pathlib import Path

from dashboards.addresses import Addresses
from dashboards.generate import GENERATED, write


def main(arguments: list[str] | None = None) -> None:
    """Says which files changed."""
    own = Addresses()
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--grafana", default=own.grafana, help="where Grafana is (default: %(default)s)")
    parser.add_argument(
        "--gateway", default=own.gateway, help="where the gateway's API is (default: %(default)s)"
    )
    parser.add_argument(
        "--runbooks", default=own.runbooks, help="where docs/runbooks is (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=GENERATED, help="the folder (default: dashboards/generated)"
    )
    given = parser.parse_args(arguments)
    addresses = Addresses(
        grafana=given.grafana.rstrip("/"),
        gateway=given.gateway.rstrip("/"),
        runbooks=given.runbooks.rstrip("/"),
    )
    for path in write(given.out, addresses):
        sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
