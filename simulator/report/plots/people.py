"""What people did, and how soon volunteers answered: opt-outs against the limits, texts back, the inbox."""

import numpy as np

from simulator.audit.ground_truth import wish
from simulator.report.plots.frame import BLUE, RED, VIOLET, Figure, Frame, bars, line
from simulator.report.words import percent, roughly

_FEWEST_TEXTED = 50  # a share of fewer people says nothing


def opt_outs(frame: Frame) -> Figure | None:
    """The share of the people texted so far who have opted out, by the books."""
    if frame.books is None or not len(frame.asked):
        return None
    rows = frame.books.opt_outs
    ours = rows[np.isin(rows["source"], ("keyword", "manual"))]
    people = np.cumsum(frame.histogram(frame.first_texts_at()))
    left = np.cumsum(frame.histogram(ours["at"] - frame.scenario.start_at))
    enough = people >= min(_FEWEST_TEXTED, people[-1])
    share = np.where(enough, 100 * left / np.maximum(people, 1), np.nan)
    limits = frame.scenario.verdict
    marks = [
        (100 * limits.warn_opt_out_share, f"limited from {percent(limits.warn_opt_out_share)}"),
        (100 * limits.max_opt_out_share, f"NO-GO from {percent(limits.max_opt_out_share)}"),
    ]
    if limits.max_opt_out_share - limits.warn_opt_out_share < 0.01:  # their labels would lie on each other
        marks = [(marks[0][0], f"{marks[0][1]}, {marks[1][1]}"), (marks[1][0], "")]
    answer = f"{left[-1]:,.0f} of {people[-1]:,.0f} people texted had opted out in the end, {percent(left[-1] / max(people[-1], 1))}."
    data = [line(frame.stops, share, "opted out", RED)]
    spec = frame.time_spec(data, "% of the people texted so far", marks=marks)
    return Figure("opt_outs", "Did too many people opt out?", answer, spec)


def answers(frame: Frame) -> Figure:
    """Texts from people, and those that ask to be left alone in whatever words."""
    at = frame.ledger.inbound.columns()["at"]
    leaves = np.array([wish(text) > 0 for text in frame.ledger.inbound_texts], np.bool_)
    data = [
        bars(frame.starts, frame.histogram(at[~leaves]), "other texts", BLUE),
        bars(frame.starts, frame.histogram(at[leaves]), "ask to be left alone", RED),
    ]
    spec = frame.time_spec(data, f"texts in {roughly(frame.bin_s)}")
    spec["layout"]["barmode"] = "stack"
    answer = f"{len(at):,} texts came back; {int(leaves.sum()):,} asked to be left alone, in whatever words."
    return Figure("answers", "Did people write back?", answer, spec)


def inbox(frame: Frame) -> Figure | None:
    """How many conversations waited for a volunteer."""
    found = frame.conversations
    if found is None:
        return None
    closed_at = found.closed_at[~np.isnan(found.closed_at)]
    waiting = np.cumsum(frame.histogram(found.opened_at) - frame.histogram(closed_at))
    deepest = int(waiting.argmax())
    left = int(np.isnan(found.closed_at).sum())
    answer = (
        f"At most {waiting[deepest]:,.0f} waited, at {frame.clock(frame.edges[deepest + 1])}; {left:,} were still waiting in the end."
        if waiting[deepest] > 0
        else "No conversation waited at the end of an interval."
    )
    data = [line(frame.stops, waiting, "waiting", VIOLET)]
    spec = frame.time_spec(data, "conversations waiting")
    return Figure("inbox", "Did replies pile up in the inbox?", answer, spec)
