"""How long each step of the database may take: nothing waits for ever, and every limit has a name."""

import socket
from typing import Final

import msgspec

_PROBES: Final = 3  # unanswered keepalives after which a peer is dead


ANSWER_S: Final = 10.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. What ends with the first five is told as `DatabaseAway`; None means for ever."""

    connect_s: float | None = 5.0  # to one host, its authentication included
    turn_s: float | None = 5.0  # for a free connection
    answer_s: float | None = ANSWER_S  # one statement, as seen from here; then its connection is dropped
    statement_s: float = 8.0  # the same, as the server sees it: it gives up first, and says so
    lock_s: float = 2.0  # for a lock within a statement
    idle_in_transaction_s: float = 10.0  # a transaction of ours in which nothing is asked
    dead_peer_s: float = 6.0  # silence of the other host, at both ends of the line
    watch_s: float = 1.0  # how often the server looks whether we are still there while it works for us
    most_waiting: int = 1_000  # callers in line for a connection; the next one is refused at once

    def server_settings(self) -> dict[str, str]:
        """What a session asks of the server; names as in its configuration."""
        idle_s, interval_s = self._keepalive()
        return {
            "statement_timeout": _milliseconds(self.statement_s),
            "lock_timeout": _milliseconds(self.lock_s),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction_s),
            "client_connection_check_interval": _milliseconds(self.watch_s),
            "tcp_user_timeout": _milliseconds(self.dead_peer_s),
            "tcp_keepalives_idle": str(idle_s),
            "tcp_keepalives_interval": str(interval_s),
            "tcp_keepalives_count": str(_PROBES),
        }

    def watch_peer(self, line: socket.socket) -> None:
        """Lets the kernel notice a host that vanished without a word; a Unix socket has no other host."""
        if line.family not in (socket.AF_INET, socket.AF_INET6):
            return
        idle_s, interval_s = self._keepalive()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.dead_peer_s * 1000))

    def _keepalive(self) -> tuple[int, int]:
        """When the first question is asked, and how far apart the others: whole seconds, as the kernel counts."""
        interval_s = max(1, int(self.dead_peer_s / (_PROBES + 1)))
        return interval_s, interval_s


ORDINARY: Final = Limits()
"""Of a statement by key, of which a second is plenty: a busy server's worst, and no more."""

NO_TIMERS: Final = Limits(connect_s=None, turn_s=None, answer_s=None)
"""Only the server's: where time is virtual, a timer of ours would fire while a real answer is awaited."""

PROBE: Final = Limits(connect_s=1.5, turn_s=1.5, answer_s=1.5, statement_s=1.5, lock_s=1.5)
"""Of the question whether the database works at all."""


def within(answer_s: float) -> Limits:
    """Limits in which a statement's answer may take so long, and the steps before it their share."""
    share = answer_s / ANSWER_S
    most = ORDINARY
    return Limits(
        connect_s=answer_s / 2,
        turn_s=answer_s / 2,
        answer_s=answer_s,
        statement_s=most.statement_s * share,
        lock_s=min(most.lock_s, most.lock_s * share),
        idle_in_transaction_s=answer_s,
        dead_peer_s=min(most.dead_peer_s, max(2.0, most.dead_peer_s * share)),
    )


def patient(limits: Limits, limit_s: float) -> Limits:
    """The same with another limit for a statement: an export, a migration, a count over everything."""
    answer_s = None if limits.answer_s is None else limit_s + 2.0
    return msgspec.structs.replace(
        limits, answer_s=answer_s, statement_s=limit_s, idle_in_transaction_s=limit_s
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
