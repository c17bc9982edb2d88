"""The plots of a load test's page as Plotly's own JSON: each asks a question, and its caption answers it.

They look like those of a rehearsal's report, whose code is not ours to import. Times are seconds since the run began.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from loadtests.gauges import FULL
from loadtests.metrics import BUCKETS_S
from loadtests.report import Report, fullest

# The house's colours: each stands out by at least 3 to 1 from the light and the dark page (WCAG 2.1, 1.4.11).
BLUE, SKY, GREEN, RED, AMBER = "#2f7ed8", "#2b95c4", "#1c9a74", "#d94f4f", "#b8811f"
ORANGE, VIOLET, MAGENTA, GREY, OLIVE = "#d2691e", "#9a68d8", "#c2559d", "#82828f", "#808f26"
_COLOURS: Final = (BLUE, ORANGE, GREEN, VIOLET, AMBER)
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")
_SCALE: Final = [[0, "rgba(47,126,216,0)"], [0.01, "rgba(47,126,216,.25)"], [0.5, "#2f7ed8"], [1, "#d94f4f"]]
_HEIGHT_PX: Final = 320
_SINCE_START: Final = "seconds since the start"
_MOST_RESOURCES: Final = 5
_MOST_BARS: Final = 120
_TICKS_S: Final = {"1 ms": 0.001, "10 ms": 0.01, "100 ms": 0.1, "1 s": 1.0, "10 s": 10.0, "1 min": 60.0}
_NINES: Final = {"50 %": 2.0, "90 %": 10.0, "99 %": 100.0, "99.9 %": 1000.0}

Trace = dict[str, Any]


class Figure(msgspec.Struct, frozen=True):
    """One plot: `spec` has Plotly's `data` and `layout`."""

    key: str
    question: str
    answer: str
    spec: dict[str, Any]


def figures(report: Report) -> list[Figure]:
    """Every plot that has something to show, in reading order."""
    makers: tuple[Callable[[Report], Figure | None], ...] = (
        texted,
        rate,
        percentiles,
        heat,
        knee,
        waiting,
        saturation,
    )
    made = (make(report) for make in makers)
    return [figure for figure in made if figure is not None]


def texted(report: Report) -> Figure | None:
    """People with their first text, by zone."""
    if report.seen is None:
        return None
    zones = sorted(report.seen.zones, key=lambda zone: -zone.people)
    data = [
        _line(
            [at for at, _ in zone.curve],
            [count for _, count in zone.curve],
            zone.zone.rpartition("/")[2].replace("_", " "),
            _COLOURS[nth % len(_COLOURS)],
            _DASHES[nth % len(_DASHES)],
        )
        for nth, zone in enumerate(zones)
    ]
    last = max(zones, key=lambda zone: zone.finished_s)
    answer = f"The last of {sum(zone.people for zone in zones):,} first texts went out after {seconds(last.finished_s)}, to {last.zone}."
    return Figure(
        "texted",
        "When was everybody texted?",
        answer,
        _plot(data, x="seconds since the first text", y="people"),
    )


def rate(report: Report) -> Figure | None:
    """Arrivals meant and asked."""
    if not report.steps:
        return None
    at = [step.at_s for step in report.steps]
    meant = [step.intended / step.step_s for step in report.steps]
    asked = [step.started / step.step_s for step in report.steps]
    data = [_line(at, meant, "batches meant", GREY, "dot"), _line(at, asked, "batches asked", BLUE)]
    counts = report.open
    answer = f"Of {counts['intended']:,} batches that were meant {counts['started']:,} were asked, {counts['late']:,} of them late."
    return Figure(
        "rate",
        "Was as much asked as was meant?",
        answer,
        _plot(data, x=_SINCE_START, y="a second"),
    )


def percentiles(report: Report) -> Figure | None:
    """Open arrivals by both bases, and the volunteers' sends beside them."""
    if not report.open["started"]:
        return None
    words = (
        ("since_intended", "since it was meant", BLUE, "solid"),
        ("since_actual", "since it was asked", ORANGE, "dash"),
        ("blocked", "waiting for a connection", GREY, "dot"),
    )
    data = [_curve(report.curves[name], title, colour, dash) for name, title, colour, dash in words]
    sends = next((route for route in report.routes if route.name == "POST sends" and route.requests), None)
    if sends is not None:
        data.append(_curve(quantiles(sends.milliseconds), "volunteers' sends", GREEN, "dashdot"))
    felt, took = (dict(report.curves[name]) for name in ("since_intended", "since_actual"))
    answer = f"99 of 100 batches were answered within {seconds(felt[99.0])} of the instant that was meant, and {seconds(took[99.0])} of being asked."
    spec = _plot(data, x="share that was answered within it", y="")
    spec["layout"]["xaxis"] |= {"type": "log", "tickvals": list(_NINES.values()), "ticktext": list(_NINES)}
    spec["layout"]["yaxis"] |= _SECONDS
    return Figure("percentiles", "How long did answers take?", answer, spec)


_SECONDS: Final = {"type": "log", "tickvals": list(_TICKS_S.values()), "ticktext": list(_TICKS_S)}


def _curve(points: Sequence[tuple[float, float]], name: str, colour: str, dash: str) -> Trace:
    """Over one by the share that took longer: as many more nines, as much more room."""
    kept = [(percent, took) for percent, took in points if 0 < percent < 100]
    trace = _line(
        [round(100 / (100 - percent), 3) for percent, _ in kept],
        [max(took, 1e-4) for _, took in kept],
        name,
        colour,
        dash,
    )
    return {
        **trace,
        "text": [f"{percent:g} %" for percent, _ in kept],
        "hovertemplate": "%{text}: %{y:.4f} s",
    }


def quantiles(milliseconds: dict[str, int]) -> list[tuple[float, float]]:
    """(percent, seconds) of Locust's counts by milliseconds."""
    whole, upto, points = sum(milliseconds.values()), 0, []
    for took, count in milliseconds.items():
        upto += count
        points.append((round(100 * upto / whole, 3), float(took) / 1000))
    return points


def heat(report: Report) -> Figure | None:
    """How many answers took how long, when."""
    steps = _merged(report)
    if not steps:
        return None
    rows = [_row_name(nth) for nth in range(len(BUCKETS_S) + 1)]
    top = max(nth for step in steps for nth, count in enumerate(step[1]) if count or nth == 0)
    z = [[within[nth] or None for _, within in steps] for nth in range(top + 1)]
    data: list[Trace] = [
        {
            "type": "heatmap",
            "name": "answers",
            "x": [at for at, _ in steps],
            "y": rows[: top + 1],
            "z": z,
            "colorscale": _SCALE,
            "colorbar": {"title": {"text": "answers"}, "thickness": 12},
            "hovertemplate": "%{x:.0f} s, %{y}: %{z}",
        }
    ]
    slow = max(steps, key=lambda step: max((nth for nth, count in enumerate(step[1]) if count), default=0))
    worst = max((nth for nth, count in enumerate(slow[1]) if count), default=0)
    answer = f"By the instant that was meant. The slowest answers, {rows[worst]}, were meant at second {slow[0]:,.0f}."
    spec = _plot(data, x=_SINCE_START, y="")
    spec["layout"] |= {"hovermode": "closest", "showlegend": False}
    spec["layout"]["yaxis"] |= {"type": "category"}
    return Figure("heat", "When were answers slow?", answer, spec)


def _row_name(nth: int) -> str:
    return f"over {BUCKETS_S[-1]:g} s" if nth == len(BUCKETS_S) else f"up to {seconds(BUCKETS_S[nth])}"


def _merged(report: Report) -> list[tuple[float, list[int]]]:
    """(when, how many by row), few enough to be seen."""
    wide = max(1, -(-len(report.steps) // _MOST_BARS))
    groups = [report.steps[first : first + wide] for first in range(0, len(report.steps), wide)]
    return [
        (group[0].at_s, [sum(column) for column in zip(*(step.within for step in group), strict=True)])
        for group in groups
    ]


def knee(report: Report) -> Figure | None:
    """Each step's rate and its p95: where the one bends, the other is the most that is carried."""
    points = [
        (step.started / step.step_s, _percentile(step.within, 95.0))
        for step in report.steps
        if sum(step.within) >= 5
    ]
    if len({round(x, 1) for x, _ in points}) < 5:
        return None
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "a step of time",
            "x": [round(x, 2) for x, _ in points],
            "y": [y for _, y in points],
            "marker": {"color": BLUE, "size": 7, "opacity": 0.6},
            "hovertemplate": "%{x:.1f} batches/s: %{y:.3f} s",
        }
    ]
    lower, upper = _halves(sorted(points))
    bends = upper > 2 * lower
    answer = f"The busier half of the steps has a p95 of {seconds(upper)}, the quieter {seconds(lower)}: " + (
        "beyond the knee." if bends else "no knee is in sight; textbank load capacity looks for it."
    )
    spec = _plot(data, x="batches asked a second", y="p95")
    spec["layout"]["yaxis"] |= _SECONDS
    spec["layout"] |= {"hovermode": "closest", "showlegend": False}
    return Figure("knee", "Do answers take longer when more is asked?", answer, spec)


def _halves(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The median of what the quieter and the busier half took."""
    took = [y for _, y in points]
    middle = len(took) // 2
    return sorted(took[:middle])[middle // 2], sorted(took[middle:])[(len(took) - middle) // 2]


def _percentile(within: Sequence[int], percent: float) -> float:
    wanted, upto = sum(within) * percent / 100, 0
    for count, edge in zip(within, (*BUCKETS_S, 2 * BUCKETS_S[-1]), strict=True):
        upto += count
        if upto >= wanted:
            return edge
    return 0.0


def waiting(report: Report) -> Figure | None:
    """What waits in the gateway, and for how long."""
    if not report.looks:
        return None
    at = [look.at_s for look in report.looks]
    queued, oldest_s = [look.queued for look in report.looks], [look.oldest_s for look in report.looks]
    answer = f"At most {max(queued):,.0f} texts waited, the oldest for {seconds(max(oldest_s))}; "
    answer += f"{queued[-1]:,.0f} still did at the end." if queued[-1] else "none did at the end."
    data = [
        _line(at, queued, "texts waiting", BLUE),
        _line(at, oldest_s, "the oldest, seconds", ORANGE, "dash"),
    ]
    return Figure("waiting", "How long was the queue?", answer, _plot(data, x=_SINCE_START, y=""))


def saturation(report: Report) -> Figure | None:
    """The fullest resources over time."""
    names = [name for name, _ in sorted(fullest(report.looks), key=lambda each: -each[1])][:_MOST_RESOURCES]
    if not names:
        return None
    lines = {
        name: [(look.at_s, look.full[name]) for look in report.looks if name in look.full] for name in names
    }
    data = [
        _line(
            [at for at, _ in line],
            [round(100 * used, 1) for _, used in line],
            name.replace("_", " "),
            _COLOURS[nth],
            _DASHES[nth],
        )
        for nth, (name, line) in enumerate(lines.items())
    ]
    full_at = {name: next((at for at, used in line if used >= FULL), None) for name, line in lines.items()}
    first = min(((at, name) for name, at in full_at.items() if at is not None), default=None)
    answer = f"The fullest was {names[0].replace('_', ' ')}, {max(used for _, used in lines[names[0]]):.0%} at most."
    if first is not None:
        answer += f" First over {FULL:.0%}: {first[1].replace('_', ' ')}, at second {first[0]:,.0f}."
    return Figure("saturation", "What was full first?", answer, _plot(data, x=_SINCE_START, y="% full"))


def seconds(took_s: float) -> str:
    """8 ms; 2.73 s; 4 min 10 s."""
    if took_s < 1:
        return f"{took_s * 1000:.3g} ms"
    if took_s < 120:
        return f"{took_s:.3g} s"
    minutes, rest = divmod(round(took_s), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


# ------------------------------------------------------------ Plotly


def _line(x: Sequence[float], y: Sequence[float], name: str, colour: str, dash: str = "solid") -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2, "dash": dash},
    }


def _plot(data: list[Trace], *, x: str, y: str) -> dict[str, Any]:
    """Transparent, so that the page's light or dark shows; the page sets the colours of words and lines."""
    layout = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 20, "r": 16, "t": 16, "b": 30},
        "height": _HEIGHT_PX,
        "hovermode": "x unified",
        "showlegend": len(data) > 1,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "xaxis": {"automargin": True, "title": {"text": x}},
        "yaxis": {"automargin": True, "rangemode": "tozero", "title": {"text": y}},
    }
    return {"data": data, "layout": layout}
