"""Every load test that there is, as data: what arrives when, what goes wrong when, and the question that it answers.

Instants are shares of a run, so that one shape does for two minutes and for a night; rates are shares of the highest. How
many arrive is said by the people to text (`--contacts`): integrators text `integrated_share` of them by the curve
`batches`, volunteers, who come by the curve `comes`, all others.

A run is invalid when the generator did not keep up (`recording.invalid_because`), when somebody stayed untexted, and when
what it was made for did not happen: see `must_see`.
"""

from typing import Final, Literal

import msgspec

Curve = tuple[tuple[float, float], ...]
"""A rate over a run: (share of the run, share of the highest rate), straight between; two of one instant are a step."""

FLAT: Final[Curve] = ((0, 1), (1, 1))
AT_ONCE: Final[Curve] = ((0, 1), (0.02, 1), (0.02, 0), (1, 0))

Seen = Literal["opt_outs", "outage", "unsent", "too_much"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the carrier server is told to do, `at` this share of the run and for as much of it as `lasts`."""

    kind: Literal["outage", "receipt_storm", "stop_wave", "brownout"]
    at: float
    lasts: float
    share: float = 0.2
    """Of a STOP wave: of those whom a text reaches meanwhile."""


class Phase(msgspec.Struct, frozen=True):
    """Its arrivals are counted apart, from this share of the run to the next phase."""

    name: str
    begins: float


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One load test. The figures are what is taken when nobody says otherwise.

    `ends`: when everybody is texted, or when the time is up. `shuts`: the share of the run at which the campaign's hours
    end, or shortly after, for hours end at a full minute. `pace`: the campaign's rate, as a share of the mean at which
    texts come; None: wider than any software. `refuses`: arrivals may be turned away, that is what it is about.
    `must_see`: what must have happened for the run to mean anything.
    """

    name: str
    title: str
    question: str
    contacts: int = 2000
    volunteers: int = 20
    seconds: float = 60.0
    think_s: float = 0.5
    batches: Curve = FLAT
    integrated_share: float = 0.2
    comes: Curve = AT_ONCE
    phases: tuple[Phase, ...] = (Phase("all", 0.0),)
    events: tuple[Event, ...] = ()
    ends: Literal["texted", "time"] = "texted"
    shuts: float | None = None
    pace: float | None = None
    refuses: bool = False
    must_see: Seen | None = None


def calibrating(shape: Shape) -> Shape:
    """The same load without its beginning and without what goes wrong: volunteers come in the first quarter."""
    return msgspec.structs.replace(
        shape,
        comes=((0, 1), (0.25, 1), (0.25, 0), (1, 0)),
        phases=(Phase("all", 0.0),),
        events=(),
        ends="time",
        shuts=None,
        must_see=None,
    )


def _ladder(steps: int) -> Curve:
    """So many steps of one length, each as much higher as the first is high."""
    curve: list[tuple[float, float]] = []
    for nth in range(steps):
        curve += [(nth / steps, (nth + 1) / steps), ((nth + 1) / steps, (nth + 1) / steps)]
    return tuple(curve)


def _rungs(steps: int) -> tuple[Phase, ...]:
    return tuple(Phase(f"step {nth + 1}", nth / steps) for nth in range(steps))


_BEFORE_DURING_AFTER: Final = (Phase("before", 0.0), Phase("during", 0.3), Phase("after", 0.5))

SHAPES: Final = (
    Shape(
        name="election-day",
        title="A bank on election day",
        question="Will these volunteers get through these contacts, and what breaks first?",
        contacts=20_000,
        volunteers=100,
        seconds=120.0,
        batches=((0, 0.4), (0.3, 0.4), (0.4, 1.0), (0.5, 1.0), (0.6, 0.5), (1, 0.5)),
        comes=((0, 1), (0.05, 1), (0.1, 0.2), (0.5, 0.2), (0.55, 0.8), (0.6, 0.2), (0.8, 0), (1, 0)),
        phases=(Phase("morning", 0.0), Phase("noon", 0.4), Phase("evening", 0.6)),
    ),
    Shape(
        name="smoke",
        title="Smoke",
        question="Does everything work at all?",
        contacts=200,
        volunteers=5,
        seconds=10.0,
        think_s=0.2,
    ),
    Shape(
        name="ramp",
        title="A ramp to the knee",
        question="At which rate do answers begin to take longer?",
        contacts=20_000,
        seconds=120.0,
        volunteers=10,
        batches=((0, 0), (1, 1)),
        integrated_share=0.95,
        ends="time",
        refuses=True,
    ),
    Shape(
        name="steps",
        title="A ladder of steps",
        question="How long do answers take at each rate, and which is the last that holds?",
        contacts=20_000,
        seconds=120.0,
        volunteers=10,
        batches=_ladder(6),
        integrated_share=0.95,
        phases=_rungs(6),
        ends="time",
        refuses=True,
    ),
    Shape(
        name="spike",
        title="A spike after a push notification",
        question="Can everybody join and begin when all volunteers come within a minute?",
        contacts=5_000,
        volunteers=200,
        seconds=90.0,
        comes=((0, 0), (0.05, 0), (0.1, 1), (0.2, 0.6), (0.5, 0.1), (0.7, 0), (1, 0)),
        phases=(Phase("before", 0.0), Phase("push", 0.05), Phase("after", 0.7)),
    ),
    Shape(
        name="soak",
        title="A soak",
        question="Do memory or answers creep in hours of the same load?",
        contacts=100_000,
        volunteers=50,
        seconds=28_800.0,
        think_s=10.0,
        integrated_share=0.9,
        phases=(Phase("first half", 0.0), Phase("second half", 0.5)),
        ends="time",
    ),
    Shape(
        name="recovery",
        title="Recovery after a stall",
        question="After the provider was away, when is everything as before?",
        contacts=6_000,
        seconds=90.0,
        integrated_share=0.8,
        phases=_BEFORE_DURING_AFTER,
        events=(Event(kind="outage", at=0.3, lasts=0.2),),
        must_see="outage",
    ),
    Shape(
        name="receipt-storm",
        title="A storm of receipts",
        question="When receipts of minutes come all at once, do answers and STOPs still get through?",
        contacts=6_000,
        seconds=90.0,
        integrated_share=0.8,
        phases=_BEFORE_DURING_AFTER,
        events=(Event(kind="receipt_storm", at=0.1, lasts=0.4),),
    ),
    Shape(
        name="stop-wave",
        title="A wave of STOPs",
        question="When half of those who are texted answer STOP, is nobody texted after it?",
        contacts=6_000,
        seconds=90.0,
        integrated_share=0.6,
        phases=_BEFORE_DURING_AFTER,
        events=(Event(kind="stop_wave", at=0.3, lasts=0.2, share=0.5),),
        must_see="opt_outs",
    ),
    Shape(
        name="window-end",
        title="The end of the hours",
        question="When the hours end with texts still waiting, does none go out late, and is each accounted for?",
        contacts=6_000,
        seconds=120.0,
        integrated_share=0.9,
        ends="time",
        shuts=0.5,
        pace=0.5,
        must_see="unsent",
    ),
    Shape(
        name="overload",
        title="Overload, and back",
        question="Does it come back from more than it can carry, and when?",
        contacts=30_000,
        seconds=90.0,
        volunteers=10,
        batches=((0, 0.1), (0.3, 0.1), (0.3, 1), (0.5, 1), (0.5, 0.1), (1, 0.1)),
        integrated_share=0.95,
        phases=_BEFORE_DURING_AFTER,
        ends="time",
        refuses=True,
        must_see="too_much",
    ),
    Shape(
        name="step",
        title="One step of the search for the capacity",
        question="Does this rate hold?",
        volunteers=1,
        seconds=20.0,
        think_s=1.0,
        integrated_share=0.99,
        ends="time",
        refuses=True,
    ),
)
"""`step` is what `textbank load capacity` repeats; all others are commands of their own."""

BY_NAME: Final = {each.name: each for each in SHAPES}
COMMANDS: Final = tuple(each for each in SHAPES if each.name != "step")
