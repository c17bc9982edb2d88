"""The plots of a report as Plotly's own JSON: each asks a question, and its caption answers it.

Everything is binned here: a plot has a few hundred points however large the bank was.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.audit.ends import BAD_NUMBER, FILTERED, TMOBILE_CAPPED, Ends, ends
from simulator.model.arrays import distinct
from simulator.model.blocking import STOP_WORDS
from simulator.model.carriers import CARRIERS, Carrier
from simulator.model.ledger import DELIVERED, FAILED, QUEUED, SENT, UNDELIVERED, Ledger
from simulator.report.result import Rehearsed, Snapshot
from simulator.report.words import CARRIER_NAMES

# One colour for a carrier and one for an outcome, wherever they appear; legible on light and dark.
CARRIER_COLOURS: dict[Carrier, str] = {
    "att": "#0a9bd6",
    "tmobile": "#e0218a",
    "verizon": "#e8590c",
    "uscellular": "#5f6fd8",
    "regional": "#2f9e6e",
    "voip": "#8f8f9d",
}
_BLUE, _GREEN, _RED, _AMBER, _GREY, _VIOLET = (
    "#3b82d6",
    "#2f9e6e",
    "#d64545",
    "#d9921a",
    "#8f8f9d",
    "#8e5bd0",
)

_BIN_STEPS_S = (60, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_MOST_BINS = 160
_MOST_NUMBERS = 200
_FEW = 6
_FEWEST_FOR_A_CURVE = 20
_TIMES = {"0.1 s": 0.1, "1 s": 1, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "10 h": 36_000}

Floats = NDArray[np.float64]
Trace = dict[str, Any]


class Figure(msgspec.Struct, frozen=True):
    """One plot: `spec` has Plotly's `data` and `layout`."""

    key: str
    question: str
    answer: str
    spec: dict[str, Any]


class _World:
    """A rehearsal's tables and time bins, read once."""

    def __init__(self, rehearsed: Rehearsed, history: Sequence[Snapshot]) -> None:
        self.rehearsed = rehearsed
        self.history = history
        self.ledger: Ledger = rehearsed.ledger
        self.scenario = rehearsed.plan.scenario
        self.asked = self.ledger.submissions.columns()
        self.end: Ends = ends(self.ledger)
        self.zone = ZoneInfo(self.scenario.campaign.zone)
        self.bin_s = _bin_s(rehearsed.result.virtual_seconds)
        count = max(1, int(np.ceil(rehearsed.result.virtual_seconds / self.bin_s)))
        self.edges: Floats = np.arange(count + 1, dtype=np.float64) * self.bin_s
        self.starts = [self.local(at) for at in self.edges[:-1].tolist()]
        self.stops = [self.local(at) for at in self.edges[1:].tolist()]

    def local(self, at: float) -> str:
        """A time of the world as Plotly reads it: the campaign's local time, without zone."""
        return f"{datetime.fromtimestamp(self.scenario.start_at + at, self.zone):%Y-%m-%d %H:%M:%S}"

    def clock(self, at: float) -> str:
        return f"{datetime.fromtimestamp(self.scenario.start_at + at, self.zone):%H:%M}"

    def histogram(self, times: Floats, weights: Floats | None = None) -> Floats:
        """Per bin; what fell outside the world counts at its end."""
        inside = np.clip(times, 0, np.nextafter(self.edges[-1], 0))
        return np.histogram(inside, self.edges, weights=weights)[0].astype(np.float64)

    def per_minute(self, times: Floats) -> Floats:
        return self.histogram(times) * 60 / self.bin_s


def figures(rehearsed: Rehearsed, history: Sequence[Snapshot] = ()) -> list[Figure]:
    """Every plot of the report, in reading order. `history` adds what waited in the gateway."""
    world = _World(rehearsed, history)
    makers: tuple[Callable[[_World], Figure], ...] = (
        _flow,
        _waiting,
        _outcomes,
        _latency,
        _answers,
        _number_use,
        _cost,
    )
    return [make(world) for make in makers]


def _bin_s(virtual_s: float) -> float:
    return float(next((step for step in _BIN_STEPS_S if virtual_s / step <= _MOST_BINS), virtual_s))


# ------------------------------------------------------------ over time


def _flow(world: _World) -> Figure:
    end = world.end
    sent = world.per_minute(world.asked["arrived_at"])
    delivered = world.per_minute(end.ended_at[end.status == DELIVERED])
    lost = world.per_minute(end.ended_at[(end.status == UNDELIVERED) | (end.status == FAILED)])
    busiest = int(sent.argmax())
    answer = (
        f"The busiest time began at {world.clock(busiest * world.bin_s)} with {sent[busiest]:,.0f} texts a minute."
        if len(world.asked)
        else "No text was handed to the carriers."
    )
    data = [
        _line(world.starts, sent, "handed to the provider", _BLUE),
        _line(world.starts, delivered, "delivered", _GREEN),
        _line(world.starts, lost, "undelivered or failed", _RED),
    ]
    return Figure(
        "flow", "Did texts go out, and did they arrive?", answer, _time_spec(data, "texts a minute")
    )


def _waiting(world: _World) -> Figure:
    arrived = np.cumsum(world.histogram(world.asked["arrived_at"]))
    left_at = world.end.left_at
    queued = arrived - np.cumsum(world.histogram(left_at[~np.isnan(left_at)]))
    data = [_line(world.stops, queued, "in the provider's queue", _VIOLET)]
    counts = [snapshot.waiting for snapshot in world.history]
    if counts:
        times = [world.local(snapshot.virtual_s) for snapshot in world.history]
        data.insert(0, _line(times, counts, "waiting in all", _AMBER))
    deepest = int(queued.argmax())
    answer = (
        f"At most {queued[deepest]:,.0f} texts stood in the provider's queue, at "
        f"{world.clock(world.edges[deepest + 1])}."
        if queued[deepest] > 0
        else "The provider's queue never held texts at the end of an interval."
    )
    if counts:
        answer += f" With those held in the gateway at most {max(counts):,} waited."
    spec = _time_spec(data, "texts waiting")
    if max([*counts, queued[deepest]]) < _FEW:
        spec["layout"]["yaxis"]["dtick"] = 1  # no half texts
    return Figure("waiting", "How long was the queue?", answer, spec)


def _answers(world: _World) -> Figure:
    inbound = world.ledger.inbound.columns()
    stops = np.array([text.strip().upper() in STOP_WORDS for text in world.ledger.inbound_texts], np.bool_)
    data = [
        _bars(world.starts, world.histogram(inbound["at"][~stops]), "replies in words", _BLUE),
        _bars(world.starts, world.histogram(inbound["at"][stops]), "STOP and its kin", _RED),
    ]
    spec = _time_spec(data, f"texts in {_span(world.bin_s)}")
    spec["layout"]["barmode"] = "stack"
    answer = f"{int((~stops).sum()):,} texts came back in words, {int(stops.sum()):,} as an opt-out keyword."
    return Figure("answers", "Did people answer, and did they opt out?", answer, spec)


def _cost(world: _World) -> Figure:
    parts = _cost_parts(world)
    data = []
    for (name, (times, dollars)), colour in zip(parts.items(), (_BLUE, _GREEN, _AMBER, _RED), strict=True):
        total = np.cumsum(world.histogram(times, dollars))
        trace = _line(world.stops, np.round(total, 4), name, colour)
        data.append({**trace, "stackgroup": "cost", "hovertemplate": "$%{y:,.2f}"})
    reached = int(world.end.accepted.sum())
    cost = world.ledger.cost_usd
    each = f", {100 * cost / reached:.2f} cents for each text a carrier accepted" if reached else ""
    spec = _time_spec(data, "US dollars")
    return Figure("cost", "What did it cost?", f"${cost:,.2f} in all{each}.", spec)


def _cost_parts(world: _World) -> dict[str, tuple[Floats, Floats]]:
    """Times and dollars by kind; the sum is the ledger's."""
    prices, end = world.scenario.carriers, world.end
    out_usd = np.array([prices.price_out_usd(name) for name in CARRIERS])
    in_usd = np.array([prices.price_in_usd(name) for name in CARRIERS])
    billed = end.accepted | (end.code == TMOBILE_CAPPED)
    asked = world.asked[billed]
    inbound = world.ledger.inbound.columns()
    bought = world.ledger.purchases.columns()
    bought = bought[bought["code"] == 0]
    fees = (end.status == FAILED) & (end.code != 30036)
    return {
        "texts out": (end.left_at[billed], out_usd[asked["carrier"]] * asked["segments"]),
        "texts in": (inbound["at"], in_usd[_carriers_of(world, inbound["person"])] * inbound["segments"]),
        "numbers": (bought["at"], np.full(len(bought), prices.number_monthly_usd)),
        "fees for failed texts": (end.ended_at[fees], np.full(int(fees.sum()), 0.001)),
    }


def _carriers_of(world: _World, phones: NDArray[np.int64]) -> NDArray[np.int64]:
    people = world.rehearsed.population
    found = [people.index_of(phone) for phone in phones.tolist()]
    voip = CARRIERS.index("voip")
    return np.array([int(people.carrier[index]) if index >= 0 else voip for index in found], np.int64)


# ------------------------------------------------------------ by carrier, by number

OUTCOMES = (
    ("delivered", _GREEN),
    ("sent, no receipt", "#9ccfb6"),
    ("still waiting", _GREY),
    ("filtered", _RED),
    ("landline or not in service", _AMBER),
    ("phone off or unreachable", _VIOLET),
    ("other failure", "#7a3b3b"),
)


def outcome_index(end: Ends) -> NDArray[np.int64]:
    """For each message its place in OUTCOMES."""
    code = end.code
    lost = (end.status == UNDELIVERED) | (end.status == FAILED)
    return np.select(
        [
            end.status == DELIVERED,
            end.status == SENT,
            end.status == QUEUED,
            lost & (code == FILTERED),
            lost & np.isin(code, sorted(BAD_NUMBER)),
            lost & (code == 30003),
        ],
        [0, 1, 2, 3, 4, 5],
        6,
    ).astype(np.int64)


def _outcomes(world: _World) -> Figure:
    outcome = outcome_index(world.end)
    table = np.zeros((len(CARRIERS), len(OUTCOMES)))
    np.add.at(table, (world.asked["carrier"], outcome), 1)
    used = [index for index in range(len(CARRIERS)) if table[index].any()]
    totals = table.sum(axis=1)
    labels = [f"{CARRIER_NAMES[CARRIERS[index]]} ({totals[index]:,.0f})" for index in used]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": labels,
            "x": [round(100 * table[index, place] / totals[index], 3) for index in used],
            "customdata": [int(table[index, place]) for index in used],
            "hovertemplate": "%{customdata:,} texts, %{x:.2f} %",
            "marker": {"color": colour},
        }
        for place, (name, colour) in enumerate(OUTCOMES)
        if table[:, place].any()
    ]
    spec = _spec(data, x={"title": {"text": "% of texts"}, "range": [0, 100]}, y={"autorange": "reversed"})
    spec["layout"]["barmode"] = "stack"
    filtered = table[:, 3].sum() / max(totals.sum(), 1)
    answer = f"{table[:, 0].sum() / max(totals.sum(), 1):.1%} were delivered, {filtered:.2%} were filtered."
    return Figure("outcomes", "What became of the texts, carrier by carrier?", answer, spec)


def _latency(world: _World) -> Figure:
    shares = np.concatenate([np.linspace(0, 0.98, 99), np.linspace(0.981, 0.999, 19)])
    data, every = [], []
    for name in CARRIERS:
        latency_s = world.ledger.latency_s("shown", name)
        every.append(latency_s)
        if len(latency_s) >= _FEWEST_FOR_A_CURVE:
            seconds = np.maximum(np.quantile(latency_s, shares), 0.01)
            trace = _line(_rounded(seconds), shares * 100, CARRIER_NAMES[name], CARRIER_COLOURS[name])
            data.append({**trace, "hovertemplate": "%{y:.1f} % within %{x:.1f} s"})
    together = np.concatenate(every)
    answer = "No text was shown on a phone."
    if len(together):
        half, most = np.quantile(together, (0.5, 0.99))
        answer = f"Half were on the phone within {_span(float(half))}, 99 % within {_span(float(most))}."
    ticks = {"tickvals": list(_TIMES.values()), "ticktext": list(_TIMES)}
    x = {"type": "log", "title": {"text": "from the provider to the phone"}, **ticks}
    spec = _spec(data, x=x, y={"title": {"text": "% of texts shown"}, "range": [0, 100]})
    spec["layout"]["hovermode"] = "closest"
    return Figure("latency", "How long did a text take to arrive?", answer, spec)


def _number_use(world: _World) -> Figure:
    senders, sender, texts = np.unique(world.asked["sender"], return_inverse=True, return_counts=True)
    to = np.unique(world.asked["to"], return_inverse=True)[1]
    pairs = distinct(sender * len(to) + to)
    people = np.bincount(pairs // max(len(to), 1), minlength=len(senders))
    order = np.argsort(-people, kind="stable")[:_MOST_NUMBERS]
    labels = [_number(sender) for sender in senders[order].tolist()]
    data = [
        _bars(labels, people[order], "people", _BLUE),
        _bars(labels, texts[order], "texts", _GREY),
    ]
    answer = "No number was used."
    if len(senders):
        answer = (
            f"{len(senders):,} numbers carried the bank; the busiest wrote to {people.max():,} people, "
            f"the median one to {np.median(people):,.0f}."
        )
    x = {
        "type": "category",
        "showticklabels": len(labels) <= 30,
        "title": {"text": "our numbers, busiest first"},
    }
    spec = _spec(data, x=x, y={"title": {"text": "people, texts"}, "rangemode": "tozero"})
    return Figure("numbers", "Were the numbers used evenly?", answer, spec)


def _number(phone: int) -> str:
    text = str(phone)
    return f"({text[1:4]}) {text[4:7]}-{text[7:]}"


# ------------------------------------------------------------ Plotly


def _line(x: Sequence[Any], y: Any, name: str, colour: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": _rounded(y),
        "line": {"color": colour, "width": 2},
    }


def _bars(x: Sequence[Any], y: Any, name: str, colour: str) -> Trace:
    return {"type": "bar", "name": name, "x": list(x), "y": _rounded(y), "marker": {"color": colour}}


def _rounded(values: Any) -> list[float]:
    """Short numbers: the page is read by people."""
    rounded: list[float] = np.round(np.asarray(values, dtype=np.float64), 4).tolist()
    return rounded


def _time_spec(data: list[Trace], unit: str) -> dict[str, Any]:
    return _spec(data, x={"type": "date", "tickangle": 0}, y={"title": {"text": unit}, "rangemode": "tozero"})


def _spec(data: list[Trace], *, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """Transparent, so that the page's light or dark shows; the page sets the colours of words and lines."""
    layout = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 20, "r": 20, "t": 10, "b": 30},
        "height": 340,
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "xaxis": {"automargin": True, **x},
        "yaxis": {"automargin": True, **y},
    }
    return {"data": data, "layout": layout}


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
