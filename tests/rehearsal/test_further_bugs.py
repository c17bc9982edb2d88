"""More safeguards switched off, so that each of the first ten rules has at least four bugs that the auditor must name."""

import pytest
from msgspec.structs import replace

import gateway.pipeline.inbound
from gateway.core.sending.numbers import NumberPool, NumberState
from gateway.core.sending.pacing import DailyCap, Pacer
from gateway.core.text import consent
from gateway.core.text.segments import Encoding, Measure
from gateway.pipeline import decision
from gateway.pipeline.hand_over import HandOver
from gateway.pipeline.lease import Held
from gateway.store import claims, messages, receipts
from simulator.model.faults import FaultParameters
from simulator.rehearsal import contact_import
from simulator.rehearsal.provider import SimulatedProvider
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.planted_bugs import (
    Plant,
    World,
    assert_clean,
    assert_named,
    claims_of,
    people_change_their_minds,
    rewrite,
)
from tests.rehearsal.small_worlds import (
    A_DAY,
    SMALL_TOWN,
    UNRELIABLE_WEBHOOKS,
    campaign,
    limited,
    small,
)

Patch = pytest.MonkeyPatch

_LOST = FaultParameters(answers_lost_after_share=0.10, errors_after_share=0.05)
_LONG = (
    "Hi {{first_name}}, it's {{sender.first_name}}. "
    + "We count on you on Tuesday, as always. " * 5
    + "STOP to quit"
)
_ACCENTS = "Hola {{first_name}}, soy {{sender.first_name}}. ¿Podrá votar el martes? Contamos con usted, así será: responda STOP"
_MOVED = replace(A_DAY, population=replace(A_DAY.population, elsewhere_share=0.6))
_FILTERED = replace(campaign(A_DAY, rotate_after=15), filtering=replace(A_DAY.filtering, base_share=0.10))

WORLDS = {
    "a day": World(A_DAY),
    "people change their minds": World(A_DAY, lambda patch: people_change_their_minds(patch, after_s=100.0)),
    "many live elsewhere": World(_MOVED),
    "answers and callbacks are lost": World(
        replace(A_DAY, faults=_LOST, webhooks=replace(UNRELIABLE_WEBHOOKS, lost_share=0.5))
    ),
    "the provider says slow down": World(replace(A_DAY, faults=FaultParameters(throttled_share=0.2))),
    "many numbers": World(campaign(A_DAY, rotate_after=15)),
    "many texts are filtered": World(_FILTERED),
    "texts with accents": World(campaign(A_DAY, scripts=(_ACCENTS,))),
    "long texts at a low rate": World(limited(campaign(A_DAY, scripts=(_LONG,)), total_per_s=0.1)),
    "long texts under a low cap": World(
        limited(
            campaign(small(SMALL_TOWN, hours=1.5, volunteers=8), scripts=(_LONG,)), tmobile_daily_segments=40
        )
    ),
}


# ---- 1: no text after an opt-out


def only_the_bare_word_counts(patch: Patch) -> None:
    """STOP in capitals or not; "Stop." and "opt out" are taken for replies."""
    read = consent.read
    bare = {"stop", "start", "unstop", "help"}
    reply = consent.Reading(consent.Intent.REPLY)
    patch.setattr(
        gateway.pipeline.inbound, "read", lambda text: read(text) if text.lower() in bare else reply
    )


# ---- 2: lawful hours


def everybody_lives_where_the_area_code_says(patch: Patch) -> None:
    group = contact_import.hours_group_of
    patch.setattr(contact_import, "hours_group_of", lambda phone, _zip, _state: group(phone, "", ""))


def only_the_address_counts(patch: Patch) -> None:
    """The area code is forgotten where there is an address."""
    group, states = (
        contact_import.hours_group_of,
        {"PA": "215", "CA": "213", "FL": "305", "NY": "212", "CO": "303"},
    )
    patch.setattr(
        contact_import,
        "hours_group_of",
        lambda phone, zip_code, state: group(f"+1{states.get(state, phone[2:5])}5550123", "", ""),
    )


# ---- 3: accepted once


def every_tenth_call_is_made_twice(patch: Patch) -> None:
    call = HandOver._call

    def twice(hand_over: HandOver, held: Held) -> None:
        call(hand_over, held)
        if held.text.message_id % 10 == 0:
            call(hand_over, held)

    patch.setattr(HandOver, "_call", twice)


# ---- 4: the books balance


def undelivered_is_written_down_as_delivered(patch: Patch) -> None:
    status = SimulatedProvider._status

    def rosy(provider: SimulatedProvider, event: object) -> None:
        status(
            provider, event if event.status != "undelivered" else replace(event, status="delivered", code=0)
        )

    patch.setattr(SimulatedProvider, "_status", rosy)


# ---- 5: what the carrier accepted is stored


def sizes_are_characters_by_160(patch: Patch) -> None:
    patch.setattr(
        decision, "measure", lambda text: Measure(Encoding.GSM7, max(1, -(-len(text) // 160)), len(text), 0)
    )


def a_neighbour_gets_the_text(patch: Patch) -> None:
    send = SimulatedProvider.send

    def astray(provider: SimulatedProvider, text: object) -> object:
        phone = f"+{int(text.phone[1:]) + 1}" if text.message_id % 10 == 0 else text.phone
        return send(provider, replace(text, phone=phone))

    patch.setattr(SimulatedProvider, "send", astray)


# ---- 6: one number a contact


def answers_come_from_the_newest_number(patch: Patch) -> None:
    choose = NumberPool.choose
    patch.setattr(
        NumberPool,
        "choose",
        lambda pool, now, **k: choose(
            pool, now, **{**k, "sticky": None if k["sticky"] is None else max(pool.numbers)}
        ),
    )


def a_full_number_moves_its_conversations(patch: Patch) -> None:
    choose = NumberPool.choose

    def moved(pool: NumberPool, now: float, **k: object) -> object:
        number = pool.numbers.get(k["sticky"])
        is_full = number is not None and number.conversations >= 0 and len(pool.numbers) > 1
        newer = [each for each in pool.numbers.values() if each.state is NumberState.ACTIVE]
        if is_full and number.number_id < newer[-1].number_id - 1:
            k["sticky"] = newer[-1].number_id
        return choose(pool, now, **k)

    patch.setattr(NumberPool, "choose", moved)


def one_filtered_text_retires_a_number(patch: Patch) -> None:
    patch.setattr(NumberPool, "filtered", lambda pool, _now, number_id, _script: pool.retire(number_id))


# ---- 7: rates and caps


def segments_count_as_one_on_the_meters(patch: Patch) -> None:
    occupy = Pacer.occupy
    patch.setattr(
        Pacer, "occupy", lambda pacer, slot, carrier, number, _: occupy(pacer, slot, carrier, number, 1)
    )


def the_cap_counts_texts(patch: Patch) -> None:
    add, clear_at = DailyCap.add, DailyCap.clear_at
    patch.setattr(DailyCap, "add", lambda cap, at, _: add(cap, at, 1))
    patch.setattr(DailyCap, "clear_at", lambda cap, at, _: clear_at(cap, at, 1))


# ---- 8: legal moves


def attempts_are_counted_by_twos(patch: Patch) -> None:
    rewrite(patch, claims, "_CLAIM", r"attempt = m\.attempt \+ 1", "attempt = m.attempt + 2")


def what_is_unknown_stays_so(patch: Patch) -> None:
    kept = [legal for legal in messages.LEGAL_MOVES if not legal.startswith("unknown>")]
    patch.setattr(receipts, "LEGAL_MOVES", kept)


# ---- 10: one volunteer a contact


def a_bucket_is_given_away_after_five_minutes(patch: Patch) -> None:
    idle = "NOT a.texted AND a.assigned_at < to_timestamp($10) - interval '5 minutes'"
    claims_of(patch, f"(a.volunteer_id IS NULL OR {idle})")


def every_tenth_contact_is_everybodys(patch: Patch) -> None:
    claims_of(patch, "(a.volunteer_id IS NULL OR NOT a.texted AND a.contact_id % 10 = 0)")


def a_neighbours_bucket_is_free(patch: Patch) -> None:
    claims_of(patch, "(a.volunteer_id IS NULL OR a.volunteer_id = asked.volunteer_id - 1)")


_OPT_OUT, _HOURS, _TWICE, _BOOKS = "no_text_after_opt_out", "lawful_hours", "accepted_once", "books_balance"
_STORED, _NUMBER, _RATES = "accepted_is_stored", "one_number_a_contact", "rates_and_caps"
_MOVES, _VOLUNTEER = "legal_moves", "one_volunteer_a_contact"
PLANTS = {
    "only the bare word counts": Plant(
        only_the_bare_word_counts, "people change their minds", _OPT_OUT, frozenset({"consent_kept"})
    ),
    "everybody lives where the area code says": Plant(
        everybody_lives_where_the_area_code_says, "many live elsewhere", _HOURS
    ),
    "only the address counts": Plant(only_the_address_counts, "many live elsewhere", _HOURS),
    "every tenth call is made twice": Plant(
        every_tenth_call_is_made_twice, "a day", _TWICE, frozenset({_BOOKS})
    ),
    "undelivered is written down as delivered": Plant(
        undelivered_is_written_down_as_delivered, "a day", _BOOKS
    ),
    "sizes are characters by 160": Plant(sizes_are_characters_by_160, "texts with accents", _STORED),
    "a neighbour gets the text": Plant(
        a_neighbour_gets_the_text, "a day", _STORED, frozenset({"right_words"})
    ),
    "answers come from the newest number": Plant(
        answers_come_from_the_newest_number, "many numbers", _NUMBER
    ),
    "a full number moves its conversations": Plant(
        a_full_number_moves_its_conversations, "many numbers", _NUMBER
    ),
    "one filtered text retires a number": Plant(
        one_filtered_text_retires_a_number,
        "many texts are filtered",
        _NUMBER,
        frozenset({"nothing_idles"}),  # everybody moves to new numbers, which have to settle
    ),
    "segments count as one on the meters": Plant(
        segments_count_as_one_on_the_meters, "long texts at a low rate", _RATES
    ),
    "the cap counts texts": Plant(the_cap_counts_texts, "long texts under a low cap", _RATES),
    "attempts are counted by twos": Plant(
        attempts_are_counted_by_twos, "the provider says slow down", _MOVES
    ),
    # what was never sent stays there too, and so does what a callback tells the end of
    "what is unknown stays so": Plant(
        what_is_unknown_stays_so,
        "answers and callbacks are lost",
        _MOVES,
        frozenset({"nothing_idles", "books_balance"}),
    ),
    # whose answer it was waits on the screen of one who has the contact no more
    "a bucket is given away after five minutes": Plant(
        a_bucket_is_given_away_after_five_minutes, "a day", _VOLUNTEER, frozenset({"replies_shown"})
    ),
    "every tenth contact is everybody's": Plant(every_tenth_contact_is_everybodys, "a day", _VOLUNTEER),
    "a neighbour's bucket is free": Plant(a_neighbours_bucket_is_free, "a day", _VOLUNTEER),
}


@pytest.mark.parametrize("name", WORLDS)
def test_without_the_bug_the_world_is_in_order(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_clean(rehearse, monkeypatch, WORLDS[name])


@pytest.mark.parametrize("name", PLANTS)
def test_the_auditor_sees(rehearse: Rehearse, monkeypatch: Patch, name: str) -> None:
    assert_named(rehearse, monkeypatch, WORLDS, PLANTS[name])
