"""The plots of a report as Plotly's own JSON: each asks a question, and its caption answers it."""

from collections.abc import Callable, Sequence

from simulator.report.plots import delays, money, outcome, people, sending
from simulator.report.plots.frame import CARRIER_COLOURS, Figure, Frame
from simulator.report.result import Rehearsed, Snapshot

__all__ = ["CARRIER_COLOURS", "Figure", "figures"]

_MAKERS: tuple[Callable[[Frame], Figure | None], ...] = (
    sending.texted,
    sending.flow,
    outcome.outcomes,
    outcome.held,
    outcome.by_place,
    people.opt_outs,
    people.answers,
    people.inbox,
    delays.waits,
    delays.arrival,
    sending.rates,
    sending.cap,
    sending.waiting,
    outcome.number_use,
    money.cost,
)


def figures(rehearsed: Rehearsed, history: Sequence[Snapshot] = ()) -> list[Figure]:
    """Every plot of the report that has something to show, in reading order.

    `history` adds what waited in the gateway.
    """
    frame = Frame(rehearsed, history)
    made = (make(frame) for make in _MAKERS)
    return [figure for figure in made if figure is not None]
