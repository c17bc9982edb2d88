"""Numbers are bought for a reason, kept in the books, and in the area codes that were wished for.

What a campaign needs, by the model: a number to begin with and one for each `rotate_after` people asked for (C7), one
for each number that went bad, one for each wished area code, and one where texts to a small carrier, whose rate is each
number's own, had to wait. Two more may be on order at a time, each for a reason of its own.
"""

import numpy as np

from simulator.audit.evidence import Breaches, Evidence, Judged
from simulator.audit.persons import went_bad
from simulator.audit.records import Pool, Rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import is_among
from simulator.model.carriers import CARRIERS

_ON_ORDER = 2
_WAITED_S = 5.0
_KEPT_WITHIN_S = 300.0  # a promise: a crash may lie between a purchase and the books
_RESTOCK_S = 3600.0  # an area code that had none is not asked again so soon
_GOES_BAD_AFTER = 3  # texts that failed on the number's account


def judge_purchases(evidence: Evidence) -> Judged:
    """Numbers bought beyond need or beyond the registered pool, and those that are in nobody's books."""
    pool = evidence.world.pool
    tried = evidence.ledger.purchases.columns()
    bought = tried[tried["code"] == 0]
    if pool is None:
        return Judged([], 0)
    nth = np.arange(1, len(bought) + 1)
    beyond = nth > _needed(evidence, pool, bought["at"])
    given_back = np.searchsorted(evidence.ledger.releases.columns()["at"], bought["at"], side="right")
    too_many = nth - given_back > evidence.world.registration.max_numbers
    settled = bought["at"] < evidence.world.ended_at - _KEPT_WITHIN_S
    lost = settled & ~is_among(bought["number"], evidence.books.numbers["phone"])
    found = [
        Breaches("number", bought["number"][beyond], "a number was bought that nobody needed"),
        Breaches("number", bought["number"][too_many], "a number was bought beyond the registered pool"),
        Breaches("number", bought["number"][lost], "a number was bought, and is in nobody's books"),
    ]
    return Judged(found, len(tried))


def _needed(evidence: Evidence, pool: Pool, at: Floats) -> Integers:
    """How many numbers there were reasons for at each moment."""
    _, first = np.unique(evidence.messages["phone"], return_index=True)
    people = np.sort(evidence.asked_at[first])
    asked = np.searchsorted(people, at, side="right")
    bad = np.searchsorted(np.sort(list(went_bad(evidence, _GOES_BAD_AFTER).values())), at, side="right")
    waited = np.searchsorted(_waited_for_a_small_carrier(evidence), at, side="right")
    steady = 1 + len(pool.preferred_area_codes) + _ON_ORDER
    needed: Integers = steady + asked // pool.rotate_after + bad + waited
    return needed


def _waited_for_a_small_carrier(evidence: Evidence) -> Floats:
    """When texts were asked for that waited although only a number's own rate could hold them back."""
    own_rate = [i for i, name in enumerate(CARRIERS) if name not in evidence.world.registration.carrier_per_s]
    n = evidence.present[evidence.present >= 0]
    rows = np.flatnonzero(evidence.present >= 0)
    waited = np.isin(evidence.submissions["carrier"][n], own_rate)
    waited &= evidence.left_at[rows] - evidence.asked_at[rows] > _WAITED_S
    return np.sort(evidence.asked_at[rows][waited])


def judge_area_codes(evidence: Evidence) -> Judged:
    """Numbers bought elsewhere while a wished area code had some, and no purchase had failed within the hour."""
    pool = evidence.world.pool
    if pool is None or not pool.preferred_area_codes:
        return Judged([], 0)
    tried = evidence.ledger.purchases.columns()
    bought = tried[tried["code"] == 0]
    elsewhere = ~np.isin(_area_code(bought), [int(code) for code in pool.preferred_area_codes])
    failed = tried["at"][tried["code"] > 0]
    lately = np.searchsorted(failed, bought["at"], side="right") > np.searchsorted(
        failed, bought["at"] - _RESTOCK_S
    )
    unjust = elsewhere & ~lately & _in_stock(pool, bought)
    what = "a number was bought elsewhere although a wished area code had one"
    return Judged([Breaches("number", bought["number"][unjust], what)], len(bought))


def _in_stock(pool: Pool, bought: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Before which purchases any wished area code had a number left."""
    left = np.zeros(len(bought), np.bool_)
    codes = _area_code(bought)
    for code in pool.preferred_area_codes:
        sold = np.cumsum(codes == int(code)) - (codes == int(code))
        left |= sold < pool.stock.get(code, pool.stock_elsewhere)
    return left


def _area_code(bought: Rows) -> Integers:
    codes: Integers = bought["number"] // 10_000_000 % 1000
    return codes
