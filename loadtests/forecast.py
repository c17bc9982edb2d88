"""What was predicted of a load test before it ran, beside what was measured: every load test is a test of the twin.

What people's pace and the rates decide, the twin's rehearsal predicts. When batches come is known from their schedule. How
long this machine takes to answer no rehearsal knows: that is predicted by a calibration, a step of the same load of some
twenty seconds on the same machine, or not at all.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from loadtests.ledger import Seen
from loadtests.outcome import Outcome
from loadtests.recording import Recording
from loadtests.rehearsing import Rehearsal

By = Literal["rehearsal", "schedule", "calibration", "nobody"]
_PERCENTS: Final = (50.0, 95.0, 99.0)
_SENDS: Final = "POST sends"


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers took, seconds by percentile: of integrators' batches since they were meant, and of Sends."""

    batches: dict[str, float]
    sends: dict[str, float]


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `why` it was not predicted, where it wasn't; `error` is the prediction's, a share of what was measured."""

    figure: str
    unit: str
    predicted: float | None
    measured: float | None
    by: By
    why: str = ""
    error: float | None = None


class Foretold(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was said beforehand. `last_batch_s`: when the last of the integrators' batches is meant."""

    last_batch_s: float
    people: int
    rehearsal: Rehearsal | None = None
    calibration: Answers | None = None
    why_not: str = ""


def answers(outcome: Outcome) -> Answers:
    """Of a run or of a calibration."""
    whole = Recording.merged(outcome.parts)
    sends = next((route.seconds for route in outcome.routes if route.name == _SENDS and route.requests), {})
    return Answers(
        batches={f"p{percent:g}": whole.percentile_s("since_intended", percent) for percent in _PERCENTS}
        if whole.total("since_intended")
        else {},
        sends={f"p{percent:g}": sends[f"p{percent:g}"] for percent in _PERCENTS if f"p{percent:g}" in sends},
    )


def forecasts(
    foretold: Foretold, outcome: Outcome, *, seen: Seen | None, of_volunteers: Seen | None
) -> list[Forecast]:
    """Each figure that was to be predicted; `of_volunteers` is who was texted by them."""
    return [
        *_finishes(foretold, of_volunteers),
        _rate(foretold, seen),
        *_answers(foretold, answers(outcome)),
        _forecast(
            "texts waiting at most",
            "",
            None,
            max((sample.queued for sample in outcome.samples), default=None),
            "nobody",
            "no rate limits this plan: only the machine makes texts wait",
        ),
    ]


def _finishes(foretold: Foretold, measured: Seen | None) -> list[Forecast]:
    """When the volunteers are through, by zone."""
    seen = {zone.zone: zone.finished_s for zone in measured.zones} if measured else {}
    predicted: Mapping[str, float] = foretold.rehearsal.finished_s if foretold.rehearsal else {}
    return [
        _forecast(
            f"volunteers finish in {zone.rpartition('/')[2].replace('_', ' ')}",
            "s",
            predicted.get(zone),
            seen.get(zone),
            "rehearsal",
            foretold.why_not,
        )
        for zone in sorted({*seen, *predicted})
    ]


def _rate(foretold: Foretold, seen: Seen | None) -> Forecast:
    """First texts accepted a second, until the last."""
    predicted, measured = None, None
    if foretold.rehearsal and foretold.rehearsal.finished_s:
        predicted = foretold.people / max(*foretold.rehearsal.finished_s.values(), foretold.last_batch_s)
    if seen and seen.finished_s:
        measured = sum(zone.people for zone in seen.zones) / seen.finished_s
    return _forecast(
        "first texts accepted a second", "/s", predicted, measured, "rehearsal", foretold.why_not
    )


def _answers(foretold: Foretold, measured: Answers) -> list[Forecast]:
    before = foretold.calibration
    why = "" if before else "how fast this machine answers no rehearsal knows, and there was no calibration"
    return [
        _forecast(
            f"{title} {name}",
            "s",
            (getattr(before, kind).get(name) if before else None),
            getattr(measured, kind).get(name),
            "calibration",
            why,
        )
        for kind, title in (("batches", "a batch, open:"), ("sends", "a Send, closed:"))
        for name in (f"p{percent:g}" for percent in _PERCENTS)
    ]


def _forecast(
    figure: str, unit: str, predicted: float | None, measured: float | None, by: By, why: str
) -> Forecast:
    error = predicted / measured - 1 if predicted is not None and measured else None
    return Forecast(
        figure=figure,
        unit=unit,
        predicted=predicted,
        measured=measured,
        by=by if predicted is not None else "nobody",
        why="" if predicted is not None else why or "it was not asked for (--predict)",
        error=error,
    )
