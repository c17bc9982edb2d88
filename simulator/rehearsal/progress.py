"""How far a rehearsal is, on standard error: a panel on a terminal, else a line every few seconds.

No threads: a rehearsal has none. What is drawn, and when, follows from the snapshots alone.
"""

from collections import deque
from datetime import datetime
from types import TracebackType
from typing import Self, TextIO
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.report.result import Snapshot

_REDRAW_S = 0.25
_LINE_S = 5.0
_RECENT_S = 5.0
_MOST_KEPT = 400


class Progress:
    """A context manager; call it with each snapshot. `history` keeps a few hundred of them for the report."""

    def __init__(self, title: str, zone: str, stream: TextIO, *, terminal: bool | None = None) -> None:
        self.history: list[Snapshot] = []
        self._title = title
        self._zone = ZoneInfo(zone)
        self._console = Console(file=stream, force_terminal=terminal, highlight=False, soft_wrap=True)
        self._pace = Pace()
        self._every = 1
        self._calls = 0
        self._next_s = 0.0
        self._last: Snapshot | None = None
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        return self

    def _begin(self) -> None:
        """Not before the first snapshot: what can't be rehearsed gets one line, and only that."""
        if self._live:
            self._live.start()
        else:
            self._console.print(f"{self._title}: setting up …")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        if kind is None and self._last is not None:
            last = self._last
            self._console.print(self._line(last, last.sent / max(last.wall_s, 1e-9)))

    def __call__(self, snapshot: Snapshot) -> None:
        if self._last is None:
            self._begin()
        self._keep(snapshot)
        self._last = snapshot
        if snapshot.wall_s < self._next_s:
            return
        self._pace.note(snapshot)
        self._next_s = snapshot.wall_s + (_REDRAW_S if self._live else _LINE_S)
        if self._live:
            self._live.update(self._panel(snapshot), refresh=True)
        else:
            self._console.print(self._line(snapshot, self._pace.per_s(snapshot)))

    def _keep(self, snapshot: Snapshot) -> None:
        """Every snapshot at first; every second, fourth… when they become many."""
        if self._calls % self._every == 0:
            self.history.append(snapshot)
            if len(self.history) >= _MOST_KEPT:
                self.history = self.history[::2]
                self._every *= 2
        self._calls += 1

    def _line(self, snapshot: Snapshot, per_s: float) -> Text:
        counts = ", ".join(f"{name} {value:,}" for name, value in _counts(snapshot))
        return Text(
            f"{self._clock(snapshot)}  {_share(snapshot):4.0%}  {counts}, "
            f"{per_s:,.0f} messages/s, {_eta(snapshot)}"
        )

    def _panel(self, snapshot: Snapshot) -> RenderableType:
        table = Table(
            title=self._title, title_justify="left", title_style="bold", box=None, show_header=False
        )
        table.add_column(justify="right", style="dim", min_width=20)
        table.add_column(min_width=40)
        table.add_row("virtual clock", Text(self._clock(snapshot), style="bold"))
        table.add_row("", ProgressBar(total=1.0, completed=_share(snapshot), width=40))
        for name, value in _counts(snapshot):
            table.add_row(name, f"{value:,}")
        table.add_row("messages per second", f"{self._pace.per_s(snapshot):,.0f} (of this machine's time)")
        table.add_row("", _eta(snapshot))
        return table

    def _clock(self, snapshot: Snapshot) -> str:
        at = datetime.fromtimestamp(snapshot.start_at + snapshot.virtual_s, self._zone)
        return f"{at:%a %H:%M:%S}"


class Pace:
    """Messages sent per wall second, of the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, snapshot: Snapshot) -> None:
        self._seen.append((snapshot.wall_s, snapshot.sent))
        while len(self._seen) > 2 and self._seen[0][0] < snapshot.wall_s - _RECENT_S:
            self._seen.popleft()

    def per_s(self, snapshot: Snapshot) -> float:
        """0 before anything was sent; since the start when too little was seen."""
        since_s, before = self._seen[0] if self._seen else (0.0, 0)
        if snapshot.wall_s - since_s < _REDRAW_S:
            since_s, before = 0.0, 0
        return (snapshot.sent - before) / max(snapshot.wall_s - since_s, 1e-9)


def _counts(snapshot: Snapshot) -> list[tuple[str, int]]:
    return [
        ("requested", snapshot.requested),
        ("sent", snapshot.sent),
        ("delivered", snapshot.delivered),
        ("filtered", snapshot.filtered),
        ("blocked", snapshot.blocked),
        ("waiting", snapshot.waiting),
        ("replies", snapshot.replies),
        ("asked to leave", snapshot.asked_to_leave),
    ]


def _share(snapshot: Snapshot) -> float:
    return min(1.0, max(0.0, snapshot.virtual_s / snapshot.duration_s))


def _eta(snapshot: Snapshot) -> str:
    """Wall time to the end, if the rest goes as the past."""
    share = _share(snapshot)
    if share >= 1:
        return f"done in {_span(snapshot.wall_s)}"
    if share < 0.01:
        return "ETA unknown yet"
    return f"ETA {_span(snapshot.wall_s * (1 - share) / share)}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
