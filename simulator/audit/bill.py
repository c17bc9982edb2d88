"""What the gateway says that its texts cost, against what the provider bills for them.

| a text                                         | costs                                                    |
|------------------------------------------------|----------------------------------------------------------|
| left for a carrier, whatever became of it then | its segments times the provider's price and carrier's fee |
| failed before it left                          | the fee of a failed text; nothing when it expired        |
| was refused at once, or never asked for        | nothing                                                  |

Prices are the published ones as the model has them, not those of a scenario: the gateway's table knows no other. Nobody
can know the carrier of a number out of service, so texts to those are not judged. Of all its texts together a campaign
tells one bill. What the gateway counts in its
metrics is the price of all that it was told was taken; whatever had no answer it can't have counted.
"""

import numpy as np

from simulator.audit.evidence import NOTHING, Booleans, Breaches, Evidence, Judged
from simulator.audit.records import FAILED as STORED_FAILED
from simulator.audit.records import SENDING, UNKNOWN
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import is_among
from simulator.model.carriers import CARRIERS, TMOBILE, CarrierParameters
from simulator.model.ledger import FAILED, FAILURE_FEE_USD, NO_FEE

_ROUNDING_USD = 1e-5
_PRICES = CarrierParameters()
_DEAREST_USD = max(_PRICES.price_out_usd(name) for name in CARRIERS)


def judge_costs(evidence: Evidence) -> Judged:
    """Texts, and carriers' totals, of which the gateway tells another price."""
    if not evidence.world.carriers_known:
        return Judged([], 0)
    told = evidence.books.costs
    asked = told[_is_certain(evidence, np.ascontiguousarray(told["message_id"]))]
    billed = _billed_usd(evidence, np.ascontiguousarray(asked["message_id"]))
    wrong = np.abs(asked["usd"] - billed) > _ROUNDING_USD
    found = [
        Breaches("message", asked["message_id"][wrong], "the gateway tells another cost than is billed"),
        *_totals(evidence),
        *_usage(evidence),
    ]
    return Judged(found, int(np.count_nonzero(billed > 0)))


def _price_usd(evidence: Evidence) -> Floats:
    """What each submission costs once it leaves for its carrier."""
    full = np.array([_PRICES.price_out_usd(name) for name in CARRIERS])
    if evidence.world.registration.tmobile_fee_waived:
        full[TMOBILE] = _PRICES.base_usd
    price: Floats = full[evidence.submissions["carrier"]] * evidence.submissions["segments"]
    return price


def _never_left(evidence: Evidence) -> Booleans:
    never: Booleans = (evidence.final_status == FAILED) & (evidence.accepted == 0)
    return never


def _billed_usd(evidence: Evidence, message_ids: Integers) -> Floats:
    """What the provider bills for all attempts of each message."""
    never_left = _never_left(evidence)
    fee = np.where(np.isin(evidence.final_code, list(NO_FEE)), 0.0, FAILURE_FEE_USD)
    each = np.where(never_left, fee, _price_usd(evidence))
    ours = evidence.row_of >= 0
    by_row = np.zeros(len(evidence.messages))
    np.add.at(by_row, evidence.row_of[ours], each[ours])
    billed: Floats = by_row[evidence.rows_of(message_ids)]
    return billed


def _is_certain(evidence: Evidence, message_ids: Integers) -> Booleans:
    """Messages of which the gateway knows all that the bill depends on."""
    rows = evidence.rows_of(message_ids)
    is_known = rows >= 0
    known = rows[is_known]
    messages = evidence.messages[known]
    told = evidence.words_until(evidence.world.ended_at - evidence.world.commit_window_s)
    open_ended = (evidence.accepted == 0) & (evidence.final_status == NOTHING)
    untold = _never_left(evidence) & (told != STORED_FAILED)
    doubtful = np.zeros(len(evidence.messages), np.bool_)
    n = np.flatnonzero((open_ended | untold) & (evidence.row_of >= 0))
    doubtful[evidence.row_of[n]] = True
    certain = ~doubtful[known] & ~np.isin(messages["state"], (SENDING, UNKNOWN))
    is_known[is_known] = certain & ~is_among(messages["phone"], evidence.world.out_of_service)
    return is_known


def _usage(evidence: Evidence) -> list[Breaches]:
    """The campaign's bill against what is billed for all its texts, give or take those of which it can't know."""
    told = evidence.books.usage_usd
    if told is None:
        return []
    ids = np.unique(evidence.message_ids)
    certain = _is_certain(evidence, ids)
    billed = _billed_usd(evidence, ids)
    least = float(billed[certain].sum())
    doubtful = ids[~certain]
    attempts = evidence.messages["attempt"][evidence.rows_of(doubtful)].astype(np.float64)
    segments = evidence.messages["segments"][evidence.rows_of(doubtful)]
    most = least + float((attempts * segments).sum() * _DEAREST_USD)
    if least - _ROUNDING_USD * len(ids) <= told <= most + _ROUNDING_USD * len(ids):
        return []
    what = f"the campaign's bill tells ${told:.4f}, and its texts cost from ${least:.4f} to ${most:.4f}"
    return [Breaches("message", ids[:1], what)]


def _totals(evidence: Evidence) -> list[Breaches]:
    """By carrier: what the metrics count against the price of what was taken, less what had no answer."""
    counted = evidence.books.counted_usd
    if counted is None:
        return []
    price = _price_usd(evidence)
    in_service = ~is_among(evidence.to, evidence.world.out_of_service)
    unheard_usd = evidence.world.answers_lost * float(price.max(initial=0.0))
    found = []
    for carrier, name in enumerate(CARRIERS):
        theirs = np.flatnonzero(in_service & (evidence.submissions["carrier"] == carrier))
        billed, told = float(price[theirs].sum()), counted.get(name, 0.0)
        if billed - unheard_usd - _ROUNDING_USD <= told <= billed + _ROUNDING_USD:
            continue
        what = f"toward {name} the metrics count ${told:.4f}, and what was taken costs ${billed:.4f}"
        found.append(Breaches("submission", theirs[:1], what))
    return found
