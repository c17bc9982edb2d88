"""What became of the texts: by carrier, by state and zone, by our number; and what the filter held against us."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.audit.ends import BAD_NUMBER, FILTERED, Ends
from simulator.audit.filter_record import CAUSES, causes
from simulator.audit.ground_truth import never_shown
from simulator.audit.places import places_of
from simulator.model.arrays import distinct, is_among
from simulator.model.carriers import CARRIERS
from simulator.model.ledger import DELIVERED, FAILED, QUEUED, SENT, UNDELIVERED
from simulator.report.plots.frame import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    MAGENTA,
    OLIVE,
    ORANGE,
    RED,
    SKY,
    VIOLET,
    Figure,
    Frame,
    Trace,
    bars,
    line,
    plot,
)
from simulator.report.words import CARRIER_NAMES, words

_MOST_NUMBERS = 200
_MOST_PLACES = 20
OUTCOMES = (
    ("delivered and shown", BLUE),
    ("sent, no receipt", SKY),
    ("still waiting", GREY),
    ("filtered", RED),
    ("landline or not in service", AMBER),
    ("phone off or unreachable", VIOLET),
    ("other failure", OLIVE),
    ("delivered, never shown", MAGENTA),
)
_HIDDEN = len(OUTCOMES) - 1
_REACHED = (("a text was shown", BLUE), ("texted, nothing shown", ORANGE), ("not texted", GREY))
_CAUSE_COLOURS = dict(zip(CAUSES, (RED, ORANGE, AMBER, VIOLET, GREEN), strict=True))


def outcome_index(end: Ends, hidden: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each message its place in OUTCOMES; `hidden` were reported as delivered and never shown."""
    code = end.code
    lost = (end.status == UNDELIVERED) | (end.status == FAILED)
    found = np.select(
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
    found[hidden] = _HIDDEN
    return found


def outcomes(frame: Frame) -> Figure:
    """By carrier, as the carriers and the phones saw it."""
    outcome = outcome_index(frame.end, never_shown(frame.ledger))
    table = np.zeros((len(CARRIERS), len(OUTCOMES)))
    np.add.at(table, (frame.asked["carrier"], outcome), 1)
    used = [index for index in range(len(CARRIERS)) if table[index].any()]
    labels = [f"{CARRIER_NAMES[CARRIERS[index]]} ({table[index].sum():,.0f})" for index in used]
    total = max(table.sum(), 1)
    hidden = (
        f", {table[:, _HIDDEN].sum() / total:.2%} reported as delivered and never shown"
        if table[:, _HIDDEN].any()
        else ""
    )
    answer = f"{table[:, 0].sum() / total:.1%} were delivered and shown, {table[:, 3].sum() / total:.2%} filtered{hidden}."
    spec = _stacked(labels, table[used], OUTCOMES, "% of texts", "texts")
    return Figure("outcomes", "What became of the texts, carrier by carrier?", answer, spec)


def by_place(frame: Frame) -> Figure:
    """By state and zone of the area code: who saw a text, who was texted in vain, who was not texted."""
    people = distinct(frame.rehearsed.population.phones)
    arrivals = frame.ledger.arrivals.columns()
    saw = is_among(people, frame.asked["to"][arrivals["n"][arrivals["shown"] > 0]])
    fate = np.where(saw, 0, np.where(is_among(people, frame.asked["to"]), 1, 2))
    names, place = places_of(people)
    table = np.zeros((len(names), len(_REACHED)))
    np.add.at(table, (place, fate), 1)
    order = np.argsort(-table.sum(axis=1), kind="stable")
    table, labels = table[order], [f"{names[at]} ({table[at].sum():,.0f})" for at in order.tolist()]
    if len(labels) > _MOST_PLACES:
        rest = table[_MOST_PLACES - 1 :].sum(axis=0)
        table = np.vstack([table[: _MOST_PLACES - 1], rest])
        labels = [*labels[: _MOST_PLACES - 1], f"elsewhere ({rest.sum():,.0f})"]
    answer = "There was nobody."
    if labels:
        shares = table[:, 2] / np.maximum(table.sum(axis=1), 1)
        worst = int(shares.argmax())
        answer = (
            f"The fewest were texted in {labels[worst].rpartition(' (')[0]}: {shares[worst]:.1%} were not."
        )
    spec = _stacked(labels, table, _REACHED, "% of people", "people")
    spec["layout"]["height"] = 120 + 26 * max(len(labels), 4)
    return Figure("places", "Who was reached, by state and time zone?", answer, spec)


def _stacked(
    labels: list[str], table: NDArray[np.float64], kinds: tuple[tuple[str, str], ...], title: str, unit: str
) -> dict[str, Any]:
    """Bars of 100 %, one a row of the table."""
    totals = np.maximum(table.sum(axis=1), 1)
    data = [
        _part(name, colour, labels, table[:, place], totals, unit)
        for place, (name, colour) in enumerate(kinds)
        if table[:, place].any()
    ]
    spec = plot(data, x={"title": {"text": title}, "range": [0, 100]}, y={"autorange": "reversed"})
    spec["layout"]["barmode"] = "stack"
    spec["layout"]["hovermode"] = "y unified"
    return spec


def _part(
    name: str,
    colour: str,
    labels: list[str],
    counts: NDArray[np.float64],
    totals: NDArray[np.float64],
    unit: str,
) -> Trace:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": labels,
        "x": np.round(100 * counts / totals, 3).tolist(),
        "customdata": counts.astype(np.int64).tolist(),
        "hovertemplate": f"%{{customdata:,}} {unit}, %{{x:.2f}}%",
        "marker": {"color": colour},
    }


def held(frame: Frame) -> Figure | None:
    """What each cause added to the chance of being filtered; None when nothing counted."""
    record = frame.rehearsed.filter_record
    told = () if record is None else causes(record)
    if record is None or not told:
        return None
    inside = record[(record["at"] >= frame.from_at) & (record["at"] <= frame.edges[-1])]
    step = max(1, len(inside) // 300)
    times = [frame.local(at) for at in inside["at"][::step].tolist()]
    data = [
        line(times, 100 * inside[cause.name][::step], words(cause.name), _CAUSE_COLOURS[cause.name])
        for cause in told
    ]
    answer = ", ".join(
        f"{words(cause.name)} from {frame.clock(cause.from_at)}, up to {cause.most_share:.1%}"
        for cause in told
    )
    spec = frame.time_spec(data, "% added chance of filtering")
    return Figure(
        "held",
        "What did the carriers' filter hold against the campaign?",
        f"{answer[0].upper()}{answer[1:]}.",
        spec,
    )


def number_use(frame: Frame) -> Figure:
    """People and texts of each of our numbers."""
    senders, sender, texts = np.unique(frame.asked["sender"], return_inverse=True, return_counts=True)
    to = np.unique(frame.asked["to"], return_inverse=True)[1]
    pairs = distinct(sender * len(to) + to)
    people = np.bincount(pairs // max(len(to), 1), minlength=len(senders))
    order = np.argsort(-people, kind="stable")[:_MOST_NUMBERS]
    labels = [_number(sender) for sender in senders[order].tolist()]
    data = [bars(labels, people[order], "people", BLUE), bars(labels, texts[order], "texts", GREY)]
    answer = "No number was used."
    if len(senders):
        answer = (
            f"{len(senders):,} numbers carried the bank; the busiest wrote to {people.max():,} people, "
            f"the median one to {np.median(people):,.0f}."
        )
    x = {
        "type": "category",
        "showticklabels": len(labels) <= 12,
        "title": {"text": "our numbers, busiest first"},
    }
    spec = plot(data, x=x, y={"title": {"text": "people, texts"}})
    return Figure("numbers", "Were the numbers used evenly?", answer, spec)


def _number(phone: int) -> str:
    text = str(phone)
    return f"({text[1:4]}) {text[4:7]}-{text[7:]}"
