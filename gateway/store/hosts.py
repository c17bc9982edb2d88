"""The hosts of a DSN: a primary and those that may become one, asked one by one so that each has its own limit."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

TIMELINE: Final = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
"""Of the server that is asked: each promotion begins the next one."""


class Succession:
    """The newest timeline seen at any host: an old primary that comes back writes for nobody.

    Shared by all doors of a worker.
    """

    def __init__(self) -> None:
        self.timeline = 0

    def is_old(self, timeline: int) -> bool:
        """Whether another server has taken over since; else this is the newest."""
        self.timeline = max(self.timeline, timeline)
        return timeline < self.timeline


def hosts(dsn: str) -> list[dict[str, Any]]:
    """How to connect to each host of a DSN, in its order; one entry without words when it names one or none.

    Hosts stand before the path (`//user@a:5432,b:5432/name`) or in the query (`?host=a,b&port=5432,5433`), as
    libpq has it. What is not understood is left to the driver.
    """
    try:
        return _hosts(dsn)
    except ValueError:
        return [{}]


def _hosts(dsn: str) -> list[dict[str, Any]]:
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    if "host" in query:
        return _pairs(query["host"][-1].split(","), query.get("port", [""])[-1].split(","))
    named = parts.netloc.rpartition("@")[2].split(",")
    names, ports = zip(*(_host_and_port(each) for each in named), strict=True)
    return _pairs(names, ports)


def _host_and_port(text: str) -> tuple[str, str]:
    if text.endswith("]"):  # an IPv6 address without a port
        return text.strip("[]"), ""
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    return unquote(host.strip("[]")), port


def _pairs(names: Sequence[str], ports: Sequence[str]) -> list[dict[str, Any]]:
    """One port serves all hosts, as in libpq."""
    if len(names) < 2:
        return [{}]
    if len(ports) == 1:
        ports = [ports[0]] * len(names)
    return [
        {"host": name, "port": int(port)} if port else {"host": name}
        for name, port in zip(names, ports, strict=True)
    ]
