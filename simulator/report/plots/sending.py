"""What went out when: the list, the flow, the granted rates, T-Mobile's day, the queue."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from simulator.audit.throughput import ALL, used_per_s
from simulator.model.carriers import CARRIERS, INDEX, TMOBILE
from simulator.model.ledger import DELIVERED, FAILED, UNDELIVERED
from simulator.report.plots.frame import (
    AMBER,
    BLUE,
    CARRIER_COLOURS,
    GREEN,
    MAGENTA,
    RED,
    VIOLET,
    Figure,
    Frame,
    line,
)
from simulator.report.words import CARRIER_NAMES, clock, percent

_PACIFIC = ZoneInfo("America/Los_Angeles")
_DAY_S = 86_400
_MINUTE_S = 60.0


def texted(frame: Frame) -> Figure:
    """The list, texted over time."""
    times, people = frame.so_far(frame.histogram(frame.first_texts_at()))
    on_list = frame.rehearsed.result.contacts
    data = [line(times, people, "texted", BLUE)]
    answer = "Nobody was texted."
    if people[-1]:
        half = int(np.searchsorted(people, people[-1] / 2))
        answer = (
            f"{people[-1]:,.0f} of {on_list:,} people were; half of them by {frame.clock(frame.edges[half])}, the last "
            f"at {clock(frame.scenario, float(frame.first_texts_at().max()))}. Landlines and people who had opted out are not."
        )
    marks = [(float(on_list), f"on the list: {on_list:,}")]
    return Figure(
        "texted", "Was the whole list texted in time?", answer, frame.time_spec(data, "people", marks=marks)
    )


def flow(frame: Frame) -> Figure:
    """Texts a minute: out, delivered, lost."""
    end = frame.end
    sent = frame.per_minute(frame.asked["handed_at"])
    delivered = frame.per_minute(end.ended_at[end.status == DELIVERED])
    lost = frame.per_minute(end.ended_at[(end.status == UNDELIVERED) | (end.status == FAILED)])
    busiest = int(sent.argmax())
    answer = (
        f"The busiest time began at {frame.clock(frame.edges[busiest])} with {sent[busiest]:,.0f} texts a minute."
        if len(frame.asked)
        else "No text was handed to the carriers."
    )
    data = [
        line(frame.starts, sent, "handed over", BLUE),
        line(frame.starts, delivered, "delivered", GREEN, dash="dash"),
        line(frame.starts, lost, "lost", RED, dash="dot"),
    ]
    return Figure(
        "flow", "Did texts go out, and did they arrive?", answer, frame.time_spec(data, "texts a minute")
    )


def rates(frame: Frame) -> Figure | None:
    """Each meter's busiest minute of a bin, as a share of what was granted."""
    if not len(frame.asked):
        return None
    minutes = max(1, int(frame.bin_s // _MINUTE_S))
    bins = len(frame.starts)
    edges = frame.edges[0] + np.arange(bins * minutes + 1) * (frame.bin_s / minutes)
    registration = frame.scenario.campaign.registration()
    data, most = [], ("", 0.0)
    for name, per_s, granted in used_per_s(frame.ledger, registration, edges):
        used = 100 * per_s.reshape(bins, minutes).max(axis=1) / granted
        carrier = None if name == ALL else CARRIERS[INDEX[name]]
        label = "all" if carrier is None else CARRIER_NAMES[carrier]
        colour = VIOLET if carrier is None else CARRIER_COLOURS[carrier]
        data.append(line(frame.starts, used, label, colour, dash="dot" if carrier is None else "solid"))
        most = max(most, (label, float(used.max())), key=lambda each: each[1])
    whose = "the whole campaign's" if most[0] == "all" else f"{most[0]}'s"
    answer = (
        f"The fullest was {whose}: {percent(most[1] / 100)} of its rate in its busiest minute. At 100% the rate, and not the "
        "volunteers, sets the pace."
    )
    marks = [(100.0, "granted")] if most[1] > 30 else []
    spec = frame.time_spec(data, "% of the granted rate", marks=marks)
    return Figure("rates", "How much of the granted rates was used?", answer, spec)


def cap(frame: Frame) -> Figure | None:
    """T-Mobile's segments of the Pacific day; None without a cap."""
    limit = frame.scenario.campaign.registration().tmobile_daily_segments
    if limit is None or not len(frame.asked):
        return None
    ours = frame.asked[(frame.asked["carrier"] == TMOBILE) & frame.end.accepted]
    per_bin = frame.histogram(ours["handed_at"], ours["segments"].astype(np.float64))
    begins_at = frame.scenario.start_at
    local = datetime.fromtimestamp(begins_at, _PACIFIC)
    since_midnight_s = (local - local.replace(hour=0, minute=0, second=0)).total_seconds()
    days = ((frame.edges[:-1] + since_midnight_s) // _DAY_S).astype(np.int64)
    used = np.concatenate([np.cumsum(per_bin[days == day]) for day in np.unique(days)])
    answer = f"At most {used.max():,.0f} of {limit:,} segments in one Pacific day, {used.max() / max(limit, 1):.0%}."
    data = [line(frame.stops, used, "T-Mobile", MAGENTA)]
    spec = frame.time_spec(
        data, "segments since midnight Pacific", marks=[(float(limit), f"daily cap: {limit:,}")]
    )
    return Figure("cap", "How full was T-Mobile's day?", answer, spec)


def waiting(frame: Frame) -> Figure:
    """What stood in queues."""
    arrived = np.cumsum(frame.histogram(frame.asked["arrived_at"]))
    left_at = frame.end.left_at
    queued = arrived - np.cumsum(frame.histogram(left_at[~np.isnan(left_at)]))
    data = [line(frame.stops, queued, "at the provider", VIOLET)]
    seen = [each for each in frame.history if frame.from_at <= each.virtual_s <= frame.edges[-1]]
    counts = [each.waiting for each in seen]
    if counts:
        times = [frame.local(each.virtual_s) for each in seen]
        data.insert(0, line(times, counts, "in all", AMBER, dash="dash"))
    deepest = int(queued.argmax())
    answer = (
        f"At most {queued[deepest]:,.0f} texts stood in the provider's queue, at "
        f"{frame.clock(frame.edges[deepest + 1])}."
        if queued[deepest] > 0
        else "The provider's queue never held texts at the end of an interval."
    )
    if counts:
        answer += f" With those held in the gateway at most {max(counts):,} waited."
    return Figure("waiting", "How long was the queue?", answer, frame.time_spec(data, "texts waiting"))
