"""What every plot stands on: one rehearsal's tables read once, its time axis, and Plotly's own JSON.

Everything is binned here: a plot has a few hundred points however large the bank was. The axis of time shows only
when the bank was at work, on the campaign's clock; hours in which nothing was handed over are left out.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from math import isnan
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.ends import Ends, ends
from simulator.audit.timing import Conversations, conversations
from simulator.model.carriers import Carrier
from simulator.model.ledger import Ledger
from simulator.report.result import Rehearsed, Snapshot
from simulator.report.words import closing_at

# Each stands out by at least 3 to 1 from the light and the dark page (WCAG 2.1, 1.4.11); what one plot shows together
# differs in lightness, dash or its own label as well, not in hue alone.
BLUE, SKY, GREEN, RED, AMBER = "#2f7ed8", "#2b95c4", "#1c9a74", "#d94f4f", "#b8811f"
ORANGE, VIOLET, MAGENTA, GREY, OLIVE = "#d2691e", "#9a68d8", "#c2559d", "#82828f", "#808f26"
CARRIER_COLOURS: dict[Carrier, str] = {
    "att": SKY,
    "tmobile": MAGENTA,
    "verizon": ORANGE,
    "uscellular": OLIVE,
    "regional": GREEN,
    "voip": GREY,
}
"""One colour for a carrier, wherever it appears."""

DIRECT, MARK = "direct", "mark"
"""Names of annotations: a line's own label, which a narrow page puts into a legend, and the label of a limit."""

_BIN_STEPS_S = (60, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_MOST_BINS = 160
_LONG_REST_S = 10_800.0  # without a hand-over: left out of the axis
_PLOT_PX = 260  # of a plot's height, without its margins: enough to keep labels apart
_LABEL_PX = 15
_LETTER_PX = 7.2
HEIGHT_PX = 340
TIMES = {"0.1 s": 0.1, "1 s": 1, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "10 h": 36_000}

Floats = NDArray[np.float64]
Trace = dict[str, Any]


class Figure(msgspec.Struct, frozen=True):
    """One plot: `spec` has Plotly's `data` and `layout`."""

    key: str
    question: str
    answer: str
    spec: dict[str, Any]


class Frame:
    """A rehearsal's tables and time bins, read once; times in seconds of the world."""

    def __init__(self, rehearsed: Rehearsed, history: Sequence[Snapshot]) -> None:
        self.rehearsed = rehearsed
        self.history = history
        self.ledger: Ledger = rehearsed.ledger
        self.books = rehearsed.books
        self.scenario = rehearsed.plan.scenario
        self.asked = self.ledger.submissions.columns()
        self.end: Ends = ends(self.ledger)
        self.zone = ZoneInfo(self.scenario.campaign.zone)
        self.closing_at = closing_at(self.scenario)
        self.from_at, self.to_at, self.bin_s = self._active()
        count = max(1, int(np.ceil((self.to_at - self.from_at) / self.bin_s)))
        self.edges: Floats = self.from_at + np.arange(count + 1, dtype=np.float64) * self.bin_s
        self.starts = [self.local(at) for at in self.edges[:-1].tolist()]
        self.stops = [self.local(at) for at in self.edges[1:].tolist()]

    @cached_property
    def conversations(self) -> Conversations | None:
        """Each time that a person's texts began to wait for a volunteer; None when nobody kept books."""
        if self.books is None:
            return None
        return conversations(self.ledger, self.books, self.scenario.start_at)

    def _active(self) -> tuple[float, float, float]:
        """From the first hand-over to the last, or to the end of the hours if that comes later on its day; and bins."""
        moments = np.sort(self.asked["handed_at"])
        whole = self.rehearsed.result.virtual_seconds
        if not len(moments):
            return 0.0, whole, bin_s(whole)
        first, last = float(moments[0]), float(moments[-1])
        until = max(last, min(self.closing_at, whole))
        rests = np.diff(moments)
        step = bin_s(until - first - float(rests[rests > _LONG_REST_S].sum()))
        return float(first // step * step), float(np.ceil((until + 1) / step) * step), step

    def local(self, at: float) -> str:
        """A time of the world as Plotly reads it: the campaign's local time, without zone."""
        return f"{datetime.fromtimestamp(self.scenario.start_at + at, self.zone):%Y-%m-%d %H:%M:%S}"

    def clock(self, at: float) -> str:
        return f"{datetime.fromtimestamp(self.scenario.start_at + at, self.zone):%H:%M}"

    def histogram(self, times: Floats, weights: Floats | None = None) -> Floats:
        """Per bin; what fell outside the active time counts at its edges."""
        inside = np.clip(times, self.edges[0], np.nextafter(self.edges[-1], 0))
        return np.histogram(inside, self.edges, weights=weights)[0].astype(np.float64)

    def so_far(self, per_bin: Floats) -> tuple[list[str], Floats]:
        """Times and running sums, from nothing on."""
        return [self.starts[0], *self.stops], np.concatenate(([0.0], np.cumsum(per_bin)))

    def per_minute(self, times: Floats) -> Floats:
        return self.histogram(times) * 60 / self.bin_s

    def first_texts_at(self) -> Floats:
        """When each person was first texted."""
        firsts: Floats = self.asked["handed_at"][np.unique(self.asked["to"], return_index=True)[1]]
        return firsts

    def _rests(self) -> list[dict[str, list[str]]]:
        """Long rests, from full hour to full hour, so that the ticks beside them are round."""
        moments = np.sort(self.asked["handed_at"])
        long = np.flatnonzero(np.diff(moments) > _LONG_REST_S)
        from_at = self._full_hour(moments[long] + self.bin_s, np.ceil)
        to_at = self._full_hour(moments[long + 1], np.floor)
        return [
            {"bounds": [self.local(left), self.local(right)]}
            for left, right in zip(from_at.tolist(), to_at.tolist(), strict=True)
            if left < right
        ]

    def _full_hour(self, at: Floats, direction: Callable[[Floats], Floats]) -> Floats:
        start_at = self.scenario.start_at
        return direction((start_at + at) / 3600) * 3600 - start_at

    def time_spec(
        self, data: list[Trace], unit: str, *, marks: Sequence[tuple[float, str]] = (), most: float = 0.0
    ) -> dict[str, Any]:
        """A plot over time with the end of the hours; `marks` are limits on the other axis, `most` its least height."""
        x = {
            "type": "date",
            "tickangle": 0,
            "range": [self.local(self.from_at), self.local(float(self.edges[-1]))],
            "rangebreaks": self._rests(),
            "title": {"text": f"local time, {self.scenario.campaign.zone}"},
        }
        highest = max([0.0, most, *(at for at, _ in marks), *_heights(data)])
        y: dict[str, Any] = {"title": {"text": unit}, "range": [0, 1.12 * highest or 1]}
        if highest < 6 and unit.startswith(("texts", "people", "conversations")):
            y["dtick"] = 1  # no half texts
        spec = plot(data, x=x, y=y)
        layout = spec["layout"]
        if self.from_at < self.closing_at < self.edges[-1] + 1:
            shut = self.local(min(self.closing_at, float(self.edges[-1])))
            layout["shapes"].append(_rule(x=shut))
            layout["annotations"].append(
                _mark("hours end", x=shut, y=1, yref="paper", xanchor="right", yanchor="top")
            )
        for at, words in marks:
            layout["shapes"].append(_rule(y=at))
            layout["annotations"].append(_mark(words, x=0, xref="paper", y=at, xanchor="left"))
        return spec


def bin_s(span_s: float) -> float:
    """The width of bins, so that there are few: seconds."""
    return float(next((step for step in _BIN_STEPS_S if span_s / step <= _MOST_BINS), span_s))


def _heights(data: list[Trace]) -> list[float]:
    stacked = [trace for trace in data if trace.get("stackgroup") or trace["type"] == "bar"]
    if stacked and len(stacked) == len(data):
        return [float(np.sum([trace["y"] for trace in stacked], axis=0).max(initial=0))]
    return [max((y for y in trace["y"] if y is not None), default=0.0) for trace in data]


# ------------------------------------------------------------ Plotly


def line(x: Sequence[Any], y: Any, name: str, colour: str, *, dash: str = "solid") -> Trace:
    """A line; nan is a gap."""
    return {
        "type": "scatter",
        "mode": "lines",
        "connectgaps": True,  # over the hours that are left out
        "name": name,
        "x": list(x),
        "y": rounded(y),
        "line": {"color": colour, "width": 2, "dash": dash},
    }


def bars(x: Sequence[Any], y: Any, name: str, colour: str) -> Trace:
    return {"type": "bar", "name": name, "x": list(x), "y": rounded(y), "marker": {"color": colour}}


def rounded(values: Any) -> list[float | None]:
    """Short numbers: the page is read by people."""
    numbers: list[float] = np.round(np.asarray(values, dtype=np.float64), 4).tolist()
    return [None if isnan(number) else number for number in numbers]


def cumulated_share(values: Floats) -> tuple[list[float | None], list[float]]:
    """Times at many quantiles, and the percentages: a curve over the logarithm of time."""
    shares = np.concatenate([np.linspace(0, 0.98, 99), np.linspace(0.981, 0.999, 19)])
    return rounded(np.maximum(np.quantile(values, shares), 0.01)), (shares * 100).tolist()


def span_axis(title: str) -> dict[str, Any]:
    """The logarithm of a time, ticked in words."""
    ticks = {"tickvals": list(TIMES.values()), "ticktext": list(TIMES)}
    return {"type": "log", "title": {"text": title}, **ticks}


def plot(data: list[Trace], *, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """Transparent, so that the page's light or dark shows; the page sets the colours of words and lines.

    Lines have their names at their ends; bars, and every plot on a narrow page, have a legend.
    """
    lines = [trace for trace in data if trace["type"] == "scatter"]
    labels = _direct_labels(lines, x, y) if len(lines) == len(data) > 0 else []
    longest = max((len(trace["name"]) for trace in lines), default=0) if labels else 0
    layout = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 20, "r": 16 + round(_LETTER_PX * longest), "t": 16, "b": 30},
        "height": HEIGHT_PX,
        "hovermode": "x unified",
        "showlegend": not labels,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "xaxis": {"automargin": True, **x},
        "yaxis": {"automargin": True, "rangemode": "tozero", **y},
        "annotations": labels,
        "shapes": [],
    }
    return {"data": data, "layout": layout}


def _direct_labels(lines: list[Trace], x: dict[str, Any], y: dict[str, Any]) -> list[dict[str, Any]]:
    """Each line's name at its last point, moved apart where they would lie on each other."""
    last = _last_heights(lines)
    top = (y.get("range") or [0, max([1e-9, *last])])[1]
    order = sorted(range(len(lines)), key=lambda place: last[place])
    shown_px: dict[int, float] = {}
    below = -1e9
    for place in order:
        wanted = last[place] / top * _PLOT_PX
        below = shown_px[place] = max(wanted, below + _LABEL_PX)
    over = max(0.0, below - _PLOT_PX)
    return [
        {
            "name": DIRECT,
            "text": trace["name"],
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 5,
            "y": last[place],
            "yshift": round(shown_px[place] - last[place] / top * _PLOT_PX - over),
            "showarrow": False,
            "font": {"color": trace["line"]["color"], "size": 12},
        }
        for place, trace in enumerate(lines)
    ]


def _last_heights(lines: list[Trace]) -> list[float]:
    """Where each line ends; what is stacked stands on those before it."""
    heights, below = [], 0.0
    for trace in lines:
        at = next((y for y in reversed(trace["y"]) if y is not None), 0.0)
        below += at if trace.get("stackgroup") else 0.0
        heights.append(below if trace.get("stackgroup") else at)
    return heights


def _rule(*, x: str | None = None, y: float | None = None) -> dict[str, Any]:
    """A thin line right across, at a moment or at a height."""
    across = {"type": "line", "line": {"width": 1, "dash": "dot", "color": GREY}}
    if x is not None:
        return {**across, "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    return {**across, "x0": 0, "x1": 1, "xref": "paper", "y0": y, "y1": y}


def _mark(words: str, **place: Any) -> dict[str, Any]:
    return {
        "name": MARK,
        "text": words,
        "showarrow": False,
        "yanchor": "bottom",
        "font": {"size": 11},
        **place,
    }
