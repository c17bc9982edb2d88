"""How long things took: from a press to the wire, from a reply to its answer, from the provider to the phone."""

import numpy as np

from simulator.audit.timing import press_to_wire_s, reply_to_answer_s
from simulator.model.carriers import CARRIERS
from simulator.report.plots.frame import (
    BLUE,
    CARRIER_COLOURS,
    GREY,
    VIOLET,
    Figure,
    Floats,
    Frame,
    Trace,
    cumulated_share,
    line,
    plot,
    span_axis,
)
from simulator.report.words import CARRIER_NAMES, roughly

_FEWEST_FOR_A_CURVE = 20
_FEWEST_OF_A_CARRIER = 100
_DIFFERS = 1.25  # times the whole's median or nine tenths: a carrier with less is no curve of its own
_SHARES = {"title": {"text": "% within that time"}, "range": [0, 104]}


def waits(frame: Frame) -> Figure | None:
    """From a press of Send to the hand-over, and from a person's text to the answer."""
    if frame.books is None or frame.conversations is None:
        return None
    wire_s = press_to_wire_s(frame.ledger, frame.books)
    answer_s = reply_to_answer_s(frame.conversations)
    data, told = [], []
    for name, spans, colour, dash in (
        ("press to wire", wire_s, BLUE, "solid"),
        ("reply to answer", answer_s, VIOLET, "dash"),
    ):
        if len(spans) >= _FEWEST_FOR_A_CURVE:
            data.append(_curve(spans, name, colour, dash))
            half, most = np.quantile(spans, (0.5, 0.99))
            told.append(f"from {name} half took {roughly(float(half))}, 99% {roughly(float(most))} at most")
    if not data:
        return None
    answer = "; ".join(told)
    spec = plot(data, x=span_axis("time waited"), y=_SHARES)
    spec["layout"]["hovermode"] = "closest"
    return Figure(
        "waits", "How long did people wait for texts and answers?", f"{answer[0].upper()}{answer[1:]}.", spec
    )


def arrival(frame: Frame) -> Figure:
    """From the provider to the phone: one curve for all, and one for each carrier that differs."""
    by_carrier = {name: frame.ledger.latency_s("shown", name).astype(np.float64) for name in CARRIERS}
    together = np.concatenate(list(by_carrier.values()))
    data: list[Trace] = []
    answer = "No text was shown on a phone."
    if len(together):
        half, later, most = np.quantile(together, (0.5, 0.9, 0.99))
        answer = f"Half were on the phone within {roughly(float(half))}, 99% within {roughly(float(most))}."
        data = [
            _curve(spans, CARRIER_NAMES[name], CARRIER_COLOURS[name], "solid")
            for name, spans in by_carrier.items()
            if len(spans) >= _FEWEST_OF_A_CARRIER and _differs(spans, half, later)
        ]
        data.append(_curve(together, "all carriers", GREY, "dot" if data else "solid"))
        if len(data) == 1:
            answer += " No carrier differed much from the others."
    spec = plot(data, x=span_axis("from the provider to the phone"), y=_SHARES)
    spec["layout"]["hovermode"] = "closest"
    return Figure("arrival", "How long did a text take to arrive?", answer, spec)


def _differs(spans: Floats, half: float, later: float) -> bool:
    ours = np.quantile(spans, (0.5, 0.9))
    ratio = np.maximum(ours / (half, later), (half, later) / np.maximum(ours, 1e-9))
    return bool(ratio.max() > _DIFFERS)


def _curve(spans: Floats, name: str, colour: str, dash: str) -> Trace:
    seconds, shares = cumulated_share(spans)
    return {**line(seconds, shares, name, colour, dash=dash), "hovertemplate": "%{y:.1f}% within %{x:.1f} s"}
