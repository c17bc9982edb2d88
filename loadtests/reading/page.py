"""A load test as one HTML file that needs nothing else, as JSON, and as JUnit's XML.

The page's plots are drawn by a part of Plotly's own script that is kept beside this file, compressed: the whole of it, as
rehearsals' reports have it, is three times as large as such a page may be.
"""

import base64
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec

from loadtests.forecast import Forecast
from loadtests.reading.junit import junit
from loadtests.reading.plots import figures, quantiles, seconds
from loadtests.report import Report, busy_cores, capacity, findings, limited_by

FILES: Final = ("load.html", "load.json", "load.junit.xml")
MOST_BYTES: Final = 1_500_000
PLOTLY: Final = Path(__file__).with_name("plotly-cartesian.min.js.gz")
_CLASS: Final = {"GO": "go", "GO with limits": "limits", "NO-GO": "stop", "NO VERDICT": "stop"}
_SHOWN: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
_WRONGS: Final = frozenset({"lost", "twice", "after_stop", "outside_hours"})
_WORDS: Final = {
    "since_intended": "since it was meant",
    "since_actual": "since it was asked",
    "blocked": "of it waiting for a connection",
}
_LEDGER: Final = {
    "acknowledged": "acknowledged by the API",
    "handed_over": "handed over to the carrier",
    "delivered": "shown on a phone",
    "opt_outs": "people who left",
    "unsent": "not sent, and the gateway says why",
    "waiting": "still waiting",
    "lost": "lost",
    "twice": "shown twice",
    "after_stop": "after a STOP",
    "outside_hours": "outside lawful hours",
}


def written(report: Report, folder: Path) -> None:
    """`load.html`, `load.json` and `load.junit.xml` in the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = (
        page(report),
        f"{msgspec.json.format(msgspec.json.encode(report), indent=1).decode()}\n",
        junit(report),
    )
    for name, text in zip(FILES, contents, strict=True):
        (folder / name).write_text(text, encoding="utf-8")


def page(report: Report) -> str:
    """The report as a page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["seconds"] = seconds
    source = Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8")
    plots = figures(report)
    return environment.from_string(source).render(
        report=report,
        verdict_class=_CLASS[report.decision],
        headlines=_headlines(report),
        figures=plots,
        specs={figure.key: figure.spec for figure in plots},
        percents=[f"p{percent:g}" for percent in _SHOWN],
        durations=_durations(report),
        phases=_phases(report),
        routes=_routes(report),
        ledger=[(title, getattr(report.ledger, name), name in _WRONGS) for name, title in _LEDGER.items()],
        workload=_workload(report),
        costs=_costs(report),
        forecasts=[_forecast(each) for each in report.forecasts],
        capacity=capacity(report),
        findings=findings(report),
        facts=facts(report),
        plotly=base64.b64encode(PLOTLY.read_bytes()).decode(),
    )


def _headlines(report: Report) -> list[tuple[str, str, str]]:
    ledger, felt = report.ledger, dict(report.curves.get("since_intended", ()))
    wrong = ledger.lost + ledger.twice + ledger.after_stop + ledger.outside_hours
    finished = seconds(report.seen.finished_s) if report.seen else "never"
    people = sum(zone.people for zone in report.seen.zones) if report.seen else 0
    return [
        ("texts that were wrong", f"{wrong:,}", f"of {ledger.handed_over:,} that the carrier saw"),
        ("texts a second", f"{report.texts_per_s:,.1f}", f"over {seconds(report.lasted_s)}"),
        ("everybody texted after", finished, f"{people:,} of {report.size.contacts:,} people"),
        ("p99 of a batch", seconds(felt.get(99.0, 0.0)), "since it was meant"),
        ("cost", f"${ledger.cents / 100:,.2f}", "as the carrier bills it"),
    ]


def _durations(report: Report) -> list[tuple[str, list[float]]]:
    return [
        (title, [dict(report.curves.get(name, ())).get(percent, 0.0) for percent in _SHOWN])
        for name, title in _WORDS.items()
    ] + _joins(report)


def _joins(report: Report) -> list[tuple[str, list[float]]]:
    if not report.joins or not report.joins["started"]:
        return []
    took = report.joins["seconds"]["since_intended"]
    return [("a volunteer's coming, since it was meant", [took[f"p{percent:g}"] for percent in _SHOWN])]


def _phases(report: Report) -> list[tuple[str, int, int, int, list[float]]]:
    """(phase, batches, late, failed, seconds since they were meant by percentile)."""
    return [
        (
            f"{phase.name} ({phase.from_s:,.0f} to {phase.to_s:,.0f} s)",
            phase.open["intended"],
            phase.open["late"],
            phase.open["failed"],
            [phase.open["seconds"]["since_intended"][f"p{percent:g}"] for percent in _SHOWN],
        )
        for phase in report.phases
        if len(report.phases) > 1
    ]


def _routes(report: Report) -> list[tuple[str, int, int, list[float]]]:
    """(route, requests, failures, seconds by percentile); those that were asked most come first."""
    return [
        (
            route.name,
            route.requests,
            route.failures,
            [_at(quantiles(route.milliseconds), percent) for percent in _SHOWN],
        )
        for route in sorted(report.routes, key=lambda route: -route.requests)
    ]


def _at(points: list[tuple[float, float]], percent: float) -> float:
    return next((took for upto, took in points if upto >= percent), points[-1][1] if points else 0.0)


def _workload(report: Report) -> list[tuple[str, str]]:
    size, counts = report.size, report.open
    answers = (
        max(0, report.ledger.handed_over - sum(zone.people for zone in report.seen.zones))
        if report.seen
        else 0
    )
    told = [
        (
            "people",
            f"{size.contacts:,}, of whom integrators text {size.integrated:,} and volunteers the others",
        ),
        (
            "integrators: open",
            f"{counts['intended']:,} batches of {size.batch_size} texts at random instants over {size.seconds:g} s, by the shape's curve",
        ),
        (
            "volunteers: closed",
            f"{size.volunteers:,}, who come by the shape's curve; a click each {size.think_s:g} s (Poisson), each fifth a look at the inbox; and an admin",
        ),
        ("first texts and answers", f"{report.ledger.handed_over - answers:,} and {answers:,}"),
        ("generators", f"{size.workers}, each at most {max(report.generators, default=0):.0%} of a core"),
        ("seed", f"{size.seed}"),
        *(
            (
                f"the carrier: {each.kind.replace('_', ' ')}",
                f"from second {each.at_s:,.0f} for {each.lasts_s:,.0f} s",
            )
            for each in report.events
        ),
    ]
    return told + _mix(report)


def _mix(report: Report) -> list[tuple[str, str]]:
    """Carriers and encodings, by what the gateway told of segments during the run."""
    rows = []
    for title, counts in (
        ("segments by carrier", report.gateway.segments if report.gateway else {}),
        ("segments by encoding", report.gateway.encodings if report.gateway else {}),
    ):
        whole = sum(counts.values())
        if whole:
            rows.append((title, ", ".join(f"{name} {count / whole:.1%}" for name, count in counts.items())))
    return rows


def _forecast(each: Forecast) -> tuple[str, str, str, str, str]:
    predicted, measured = (_told(value, each.unit) for value in (each.predicted, each.measured))
    error = "" if each.error is None else f"{each.error:+.1%}"
    return each.figure, predicted, measured, error, each.by if not each.why else f"nobody: {each.why}"


def _told(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return seconds(value) if unit == "s" else f"{value:,.1f}{unit}"


def _costs(report: Report) -> list[tuple[str, str]]:
    """What a thousand texts cost in processor time, and what memory did."""
    if not report.gateway or not report.ledger.handed_over:
        return []
    per = 1000 / report.ledger.handed_over
    used = {**report.gateway.used, "generators": sum(report.generators) * report.lasted_s}
    rows = [(f"CPU of {name}", f"{cpu_s * per:,.2f} s for 1,000 texts") for name, cpu_s in used.items()]
    rows.append(("cores busy, together", f"{busy_cores(report):.2f} of {report.gateway.cores}"))
    if len(report.looks) > 1:
        first, last = report.looks[0], report.looks[-1]
        slope = (last.memory_mb - first.memory_mb) / (last.at_s - first.at_s) * 60
        grown = (
            f"{first.memory_mb:,.0f} MB at first, {last.memory_mb:,.0f} MB at last: {slope:+,.1f} MB a minute"
        )
        rows.append(("gateway's memory", grown))
    rows.append(("what set the pace", limited_by(report)))
    return rows


def facts(report: Report) -> dict[str, Any]:
    """What ran where, for whoever wants to repeat it."""
    gateway = report.gateway
    return {
        **report.machine,
        **({f"gateway's {name}": value for name, value in gateway.build.items()} if gateway else {}),
        **({"gateway's settings (p2p_config_info)": gateway.config} if gateway and gateway.config else {}),
    }
