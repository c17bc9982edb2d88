"""What it cost, over time and by kind."""

import numpy as np
from numpy.typing import NDArray

from simulator.audit.ends import TMOBILE_CAPPED
from simulator.model.carriers import CARRIERS, VOIP
from simulator.model.ledger import FAILED, FAILURE_FEE_USD, NO_FEE
from simulator.report.plots.frame import AMBER, BLUE, GREEN, RED, VIOLET, Figure, Floats, Frame, line


def cost(frame: Frame) -> Figure:
    """Dollars so far, by kind."""
    data = []
    for (name, (times, dollars)), colour in zip(
        _parts(frame).items(), (BLUE, GREEN, AMBER, RED, VIOLET), strict=True
    ):
        total = np.cumsum(frame.histogram(times, dollars))
        if total[-1] > 0:
            trace = line(frame.stops, np.round(total, 4), name, colour)
            data.append({**trace, "stackgroup": "cost", "hovertemplate": "$%{y:,.2f}"})
    reached = int(frame.end.accepted.sum())
    dollars_in_all = frame.ledger.cost_usd
    each = f", {100 * dollars_in_all / reached:.2f} cents for each text a carrier accepted" if reached else ""
    spec = frame.time_spec(data, "US dollars")
    return Figure("cost", "What did it cost?", f"${dollars_in_all:,.2f} in all{each}.", spec)


def _parts(frame: Frame) -> dict[str, tuple[Floats, Floats]]:
    """Times and dollars by kind; the sum is the ledger's: what is not one of the others is texts out."""
    prices, end, ledger = frame.scenario.carriers, frame.end, frame.ledger
    out_usd = np.array([prices.price_out_usd(name) for name in CARRIERS])
    in_usd = np.array([prices.price_in_usd(name) for name in CARRIERS])
    billed = end.accepted | (end.code == TMOBILE_CAPPED)
    asked = frame.asked[billed]
    inbound = ledger.inbound.columns()
    bought = ledger.purchases.columns()
    bought = bought[bought["code"] == 0]
    fees = (end.status == FAILED) & ~np.isin(end.code, list(NO_FEE))
    others = {
        "texts in": (inbound["at"], in_usd[_carriers_of(frame, inbound["person"])] * inbound["segments"]),
        "numbers": (bought["at"], np.full(len(bought), prices.number_monthly_usd)),
        "failed": (end.ended_at[fees], np.full(int(fees.sum()), FAILURE_FEE_USD)),
        "look-ups": (np.array([frame.from_at]), np.array([ledger.lookups * prices.lookup_usd])),
    }
    out = out_usd[asked["carrier"]] * asked["segments"]
    left = ledger.cost_usd - sum(float(dollars.sum()) for _, dollars in others.values())
    scaled = out * (left / out.sum()) if out.sum() else out  # pictures and waived fees have other prices
    return {"texts out": (end.left_at[billed], scaled), **others}


def _carriers_of(frame: Frame, phones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Strangers write from VoIP numbers, as the provider bills them."""
    people = frame.rehearsed.population
    found = [people.index_of(phone) for phone in phones.tolist()]
    return np.array([int(people.carrier[index]) if index >= 0 else VOIP for index in found], np.int64)
