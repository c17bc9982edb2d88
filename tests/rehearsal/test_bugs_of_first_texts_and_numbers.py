"""One first text, blocks for a reason, numbers that are needed, wished area codes: their safeguards switched off."""

import pytest
from msgspec.structs import replace

from gateway.core.rules import retry
from gateway.core.rules.errors import SubReason
from gateway.core.rules.retry import Again, RetryPolicy
from gateway.core.sending import purchases
from gateway.core.sending.numbers import NumberPool
from gateway.core.sending.purchases import ANYWHERE, BuyOne, Purchases
from gateway.core.sending.rotation import Rotation
from gateway.pipeline import decision, delivery
from gateway.pipeline.purchase import Buyer
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
)
from tests.rehearsal.small_worlds import (
    A_DAY,
    SMALL_TOWN,
    campaign,
    known_at_once,
    limited,
    small,
)

Patch = pytest.MonkeyPatch

_OLD_LIST = replace(A_DAY, population=replace(A_DAY.population, dead_share=0.15, landline_share=0.15))
_OFF = replace(
    A_DAY, handsets=replace(A_DAY.handsets, off_share=0.3, given_up_share=0.9, given_up_median_s=120.0)
)


_TWICE = replace(A_DAY, volunteers=replace(A_DAY.volunteers, double_tap_share=1.0))

WORLDS = {
    "a day": World(A_DAY),
    "presses come twice": World(_TWICE),
    "an old list": World(_OLD_LIST),
    "phones are off": World(_OFF),
    "two numbers are enough": World(
        known_at_once(campaign(A_DAY, rotate_after=100, preferred_area_codes=()))
    ),
    "a small pool": World(limited(campaign(A_DAY, rotate_after=15), max_numbers=2)),
    "one wished area code": World(campaign(A_DAY, rotate_after=15, preferred_area_codes=("412",))),
    "a wish in a town": World(
        campaign(
            small(SMALL_TOWN, hours=1.5, volunteers=8), rotate_after=15, preferred_area_codes=("814", "412")
        )
    ),
}


# ---- one first text


def nobody_asks_what_the_person_had(patch: Patch) -> None:
    facts = decision._facts
    patch.setattr(
        decision,
        "_facts",
        lambda *a, **k: replace(
            facts(*a, **k),
            already_sent_action=False,
            last_initial_at=None,
            last_outbound_at=None,
            same_text_at=None,
        ),
    )


def _retried(patch: Patch, *codes: int, after_s: float) -> None:
    after_failure = retry.after_failure

    def again(code: int | None, ended: object, attempt: int, now: float, *a: object, **k: object) -> object:
        if code in codes and attempt < 3:
            return Again(now + after_s, False, True)
        return after_failure(code, ended, attempt, now, *a, **k)

    patch.setattr(delivery, "after_failure", again)


def dead_numbers_are_tried_again(patch: Patch) -> None:
    _retried(patch, 30005, after_s=600.0)


def landlines_are_tried_again(patch: Patch) -> None:
    """Those that a look-up calls mobile."""
    _retried(patch, 30006, after_s=600.0)


def whoever_was_off_is_tried_again_at_once(patch: Patch) -> None:
    policy = RetryPolicy(retry_undelivered=True, once_delay_s=300.0)
    after_failure = retry.after_failure
    patch.setattr(delivery, "after_failure", lambda *a, **k: after_failure(*a, **{**k, "policy": policy}))


def a_repeat_counts_as_a_reply(patch: Patch) -> None:
    """So neither the lock nor the list of who had this action's text is asked."""
    from gateway.core.rules.safeguards import Kind

    nobody_asks_what_the_person_had(patch)
    counted = decision._counted
    patch.setattr(
        decision,
        "_counted",
        lambda *asked: replace(counted(*asked), kind=Kind.REPLY),
    )


# ---- blocked for a reason


def _with_facts(patch: Patch, nth: int, **changes: object) -> None:
    facts = decision._facts

    def changed(settings: object, recipient: object, text_hash: int, now: float, **k: object) -> object:
        found = facts(settings, recipient, text_hash, now, **k)
        return replace(found, **changes) if int(recipient.phone[-4:]) % nth == 0 else found

    patch.setattr(decision, "_facts", changed)


def half_of_the_list_is_taken_for_opted_out(patch: Patch) -> None:
    _with_facts(patch, 2, opted_out=True)


def some_mobiles_are_taken_for_landlines(patch: Patch) -> None:
    _with_facts(patch, 5, line_type="landline")


def some_windows_shut_at_noon(patch: Patch) -> None:
    _with_facts(patch, 5, hours_shut=SubReason.RECIPIENT_HOURS)


def some_are_held_for_failures_of_others(patch: Patch) -> None:
    _with_facts(patch, 5, failure_until=4e9)


def some_are_locked_by_nobody(patch: Patch) -> None:
    _with_facts(patch, 5, last_initial_at=4e9)


# ---- numbers that are needed


def numbers_are_full_after_three_people(patch: Patch) -> None:
    begin = Rotation.__init__
    patch.setattr(Rotation, "__init__", lambda rotation, _rotate_after: begin(rotation, 3))


def many_are_bought_ahead(patch: Patch) -> None:
    begin = NumberPool.__init__

    def eager(pool: NumberPool, *a: object, **k: object) -> None:
        begin(pool, *a, **k)
        pool.policy = replace(pool.policy, min_numbers=20)

    patch.setattr(NumberPool, "__init__", eager)


def the_pool_has_no_bounds(patch: Patch) -> None:
    begin = NumberPool.__init__

    def boundless(pool: NumberPool, *a: object, **k: object) -> None:
        begin(pool, *a, **k)
        pool.max_numbers = 49

    patch.setattr(NumberPool, "__init__", boundless)


def each_purchase_is_made_twice(patch: Patch) -> None:
    ask = Buyer._ask

    async def twice(buyer: Buyer, buy: BuyOne) -> object:
        await ask(buyer, buy)
        return await ask(buyer, buy)

    async def nothing(_: Buyer) -> None:
        return None

    patch.setattr(Buyer, "_ask", twice)
    patch.setattr(Buyer, "_forgotten", nothing)


# ---- wished area codes


def any_area_code_will_do(patch: Patch) -> None:
    patch.setattr(
        Purchases,
        "propose",
        lambda known, _now, reason, *_: None if reason in known else BuyOne((ANYWHERE,), reason),
    )


def the_recipients_area_code_is_bought(patch: Patch) -> None:
    patch.setattr(purchases, "nearest_first", lambda _preferred, area_code: (area_code,))


def the_wish_is_lost(patch: Patch) -> None:
    choose = NumberPool.choose
    patch.setattr(NumberPool, "choose", lambda pool, now, **k: choose(pool, now, **{**k, "preferred": ()}))


def an_area_code_is_asked_once(patch: Patch) -> None:
    finished = Purchases.finished

    def sold_out(known: Purchases, buy: BuyOne) -> None:
        finished(known, buy)
        known._asked_again_at.update(dict.fromkeys((code for code in buy.area_codes if code), 4e9))

    patch.setattr(Purchases, "finished", sold_out)


_FIRST, _BLOCKS = "one_first_text", "blocked_for_a_reason"
_NEEDED, _WISHED = "numbers_needed", "wished_area_codes"
PLANTS = {
    "nobody asks what the person had": Plant(nobody_asks_what_the_person_had, "presses come twice", _FIRST),
    "a repeat counts as a reply": Plant(a_repeat_counts_as_a_reply, "presses come twice", _FIRST),
    "dead numbers are tried again": Plant(dead_numbers_are_tried_again, "an old list", _FIRST),
    "landlines are tried again": Plant(landlines_are_tried_again, "an old list", _FIRST),
    "whoever was off is tried again at once": Plant(
        whoever_was_off_is_tried_again_at_once,
        "phones are off",
        _FIRST,
        frozenset({"accepted_once"}),  # and whom the carrier can't tell of
    ),
    "half of the list is taken for opted out": Plant(
        half_of_the_list_is_taken_for_opted_out, "a day", _BLOCKS
    ),
    "some mobiles are taken for landlines": Plant(some_mobiles_are_taken_for_landlines, "a day", _BLOCKS),
    "some windows shut at noon": Plant(some_windows_shut_at_noon, "a day", _BLOCKS),
    "some are held for failures of others": Plant(some_are_held_for_failures_of_others, "a day", _BLOCKS),
    "some are locked by nobody": Plant(some_are_locked_by_nobody, "a day", _BLOCKS),
    "numbers are full after three people": Plant(
        numbers_are_full_after_three_people, "two numbers are enough", _NEEDED
    ),
    "many are bought ahead": Plant(many_are_bought_ahead, "two numbers are enough", _NEEDED),
    "the pool has no bounds": Plant(the_pool_has_no_bounds, "a small pool", _NEEDED),
    "each purchase is made twice": Plant(each_purchase_is_made_twice, "two numbers are enough", _NEEDED),
    "any area code will do": Plant(any_area_code_will_do, "one wished area code", _WISHED),
    "the recipient's area code is bought": Plant(
        the_recipients_area_code_is_bought, "one wished area code", _WISHED
    ),
    "the wish is lost": Plant(the_wish_is_lost, "one wished area code", _WISHED),
    "an area code is asked once": Plant(an_area_code_is_asked_once, "a wish in a town", _WISHED),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
