"""Invariants 6, 9 and 10: what concerns persons rather than single messages.

6 one contact one number, 9 each inbound text once, 10 one volunteer a contact.
"""

from collections import Counter

import numpy as np

from simulator.audit.evidence import Breaches, Evidence, Judged
from simulator.audit.hours import shut_around
from simulator.audit.moments import Moments
from simulator.audit.opt_outs import first_deliveries, marks_of_the_list
from simulator.audit.records import Rows
from simulator.audit.wall_clock import Floats, Integers
from simulator.model.arrays import distinct, is_among
from simulator.model.ledger import inbound_sid_of

_AT_ONCE_S = 5.0
_EMPTY_CLAIMS = 20  # so many of the claims that brought nobody are looked at
_GIVEN_WITHIN_S = 300.0  # whoever another claim is just being given, or was just given back
_USED_FOR_S = 300.0  # what was claimed already may still be handed over
_USELESS_AFTER = 5  # texts of a number that failed on its account: then it may be given up
_OF_THE_NUMBER = (30007, 30024, 30032)  # filtered, not provisioned at the carrier, not verified
_REFUSES_NUMBER = (21212, 21606, 21659, 21660, 21661, 21711)  # the provider lets nothing go from it
_NEVER_SEEN = (30034, 30035)  # carriers did not know the number: nobody can have been texted from it


# ---- 6: one contact, one number


def judge_numbers(evidence: Evidence) -> Judged:
    """A person texted from another number although the first was still of use, or from one already left.

    A number may be given up when it was given back, when the provider refused a text from it, or when five of its texts
    had ended filtered or for another reason that is the number's.
    """
    senders = evidence.submissions["sender"]
    seen = np.flatnonzero(~np.isin(evidence.final_code, _NEVER_SEEN))
    order = seen[np.lexsort((evidence.handed_at[seen], evidence.to[seen]))]
    to, sender = evidence.to[order], senders[order]
    changes = np.flatnonzero((to[1:] == to[:-1]) & (sender[1:] != sender[:-1])) + 1
    useless_at = went_bad(evidence, _USELESS_AFTER)
    left: dict[int, set[int]] = {}
    moved, returned = [], []
    for position in changes.tolist():
        before, after, n = int(sender[position - 1]), int(sender[position]), int(order[position])
        left.setdefault(int(to[position]), set()).add(before)
        if after in left[int(to[position])]:
            returned.append(n)
        elif useless_at.get(before, np.inf) > evidence.handed_at[n]:
            moved.append(n)
    found = [
        Breaches(
            "submission", np.array(moved, np.int64), "texted from a second number while the first was in use"
        ),
        Breaches(
            "submission", np.array(returned, np.int64), "texted again from a number it had moved away from"
        ),
        Breaches("number", _used_in_vain(evidence), "used for minutes after the provider had refused it"),
    ]
    return Judged(found, _second_texts(evidence))


def _used_in_vain(evidence: Evidence) -> Integers:
    """Numbers of which the provider went on refusing texts."""
    refused = evidence.ledger.refusals.columns()
    refused = refused[np.isin(refused["code"], _REFUSES_NUMBER)]
    numbers, first = np.unique(refused["sender"], return_index=True)  # in time order
    since = dict(zip(numbers.tolist(), refused["at"][first].tolist(), strict=True))
    late = [
        n
        for n, at in zip(refused["sender"].tolist(), refused["at"].tolist(), strict=True)
        if at > since[n] + _USED_FOR_S
    ]
    return distinct(np.array(late, np.int64))


def _second_texts(evidence: Evidence) -> int:
    """Texts to somebody who had been texted before, once the campaign had a second number."""
    submissions = evidence.submissions
    _, first_used = np.unique(submissions["sender"], return_index=True)
    bought = evidence.ledger.purchases.columns()
    had_at = np.sort(np.concatenate((evidence.handed_at[first_used], bought["at"][bought["code"] == 0])))
    _, first = np.unique(evidence.to, return_index=True)
    again = np.ones(len(submissions), np.bool_)
    again[first] = False
    second_at = had_at[1] if len(had_at) > 1 else np.inf
    return int(np.count_nonzero(again & (evidence.handed_at >= second_at)))


def went_bad(evidence: Evidence, failures: int) -> dict[int, float]:
    """When each number was given back, refused by the provider, or had so many texts fail on its account."""
    released = evidence.ledger.releases.columns()
    refused = evidence.ledger.refusals.columns()
    refused = refused[np.isin(refused["code"], _REFUSES_NUMBER)]
    found: dict[int, float] = {}
    for numbers, at in (
        (released["number"], released["at"]),
        (refused["sender"], refused["at"]),
        _nth_failures(evidence, failures),
    ):
        for number, moment in zip(numbers.tolist(), at.tolist(), strict=True):
            found[number] = min(moment, found.get(number, np.inf))
    return found


def _nth_failures(evidence: Evidence, failures: int) -> tuple[Integers, Floats]:
    """Numbers of which so many texts failed on their account, and when that many had."""
    n = np.flatnonzero(np.isin(evidence.final_code, _OF_THE_NUMBER))
    sender = evidence.submissions["sender"][n]
    order = np.lexsort((evidence.final_at[n], sender))
    sender, at = sender[order], evidence.final_at[n][order]
    nth = np.arange(len(sender)) - np.searchsorted(sender, sender)
    is_last = nth == failures - 1
    return sender[is_last], at[is_last]


# ---- 9: each inbound text once


def judge_inbound(evidence: Evidence) -> Judged:
    """Texts that are missing, doubled, or with another person or number in the store."""
    stored = evidence.books.inbound
    times = Counter(stored["provider_sid"].tolist())
    heard = evidence.ledger.inbound.columns()
    ours = {inbound_sid_of(n): n for n in range(len(heard))}
    rows, first_at = first_deliveries(evidence)
    latest = evidence.world.ended_at - evidence.world.commit_window_s
    missing = [n for n in rows[first_at < latest].tolist() if not times[inbound_sid_of(n)]]
    fetched_until = evidence.world.day_ends_at - evidence.world.fetched_within_s
    is_due = (heard["at"] < fetched_until) & (heard["campaign"] == evidence.books.campaign_id)
    unheard = np.setdiff1d(np.flatnonzero(is_due), rows)
    lost = [n for n in unheard.tolist() if not times[inbound_sid_of(n)]]
    doubled = [ours[sid] for sid, count in times.items() if count > 1 and sid in ours]
    found = [
        _of_people(heard["person"], missing, "a text that reached the gateway is not in the store"),
        _of_people(heard["person"], lost, "a text whose webhook got lost was never fetched"),
        _of_people(heard["person"], doubled, "a text is in the store more than once"),
        *_misfiled(evidence, heard, ours),
    ]
    return Judged(found, len(rows) + len(lost))


def _of_people(people: Integers, rows: list[int], what: str) -> Breaches:
    return Breaches("phone", people[np.array(rows, np.int64)], what)


def _misfiled(evidence: Evidence, heard: Rows, ours: dict[str, int]) -> list[Breaches]:
    stored = evidence.books.inbound
    rows = np.array([ours.get(sid, -1) for sid in stored["provider_sid"].tolist()], np.int64)
    found = np.flatnonzero(rows >= 0)
    person, number = heard["person"][rows[found]], heard["number"][rows[found]]
    is_wrong = (stored["phone"][found] != person) | (stored["number"][found] != number)
    is_contact = is_among(stored["phone"], evidence.messages["phone"])
    return [
        Breaches("phone", stored["phone"][rows < 0], "a text is in the store that nobody sent"),
        Breaches("phone", person[is_wrong], "a text is in the store under another person or number"),
        Breaches(
            "phone",
            stored["phone"][is_contact & ~stored["contact_known"]],
            "a contact's text is in the store as a stranger's",
        ),
    ]


# ---- 10: one volunteer a contact


def judge_claims(evidence: Evidence) -> Judged:
    """Contacts that a volunteer was given while another one had them, or who were kept from all who asked for more."""
    claims = evidence.books.claims
    order = np.argsort(claims["phone"], kind="stable")
    phone, change = claims["phone"][order], claims["change"][order]
    is_same = np.zeros(len(order), np.bool_)
    is_same[1:] = phone[1:] == phone[:-1]
    odd = np.where(is_same, np.concatenate(([0], change[:-1])) == change, change != 1)
    odd |= is_same & (change < 0) & (claims["volunteer"][order] != np.roll(claims["volunteer"][order], 1))
    suspects = is_among(phone, phone[odd])
    taken = _taken_twice(claims[order[suspects]])
    found = [
        Breaches(
            "phone", np.array(taken, np.int64), "given to a volunteer while another one had this contact"
        ),
        Breaches("phone", _left_out(evidence), "given to nobody, though volunteers asked and got no more"),
    ]
    return Judged(found, _contested(claims))


def _left_out(evidence: Evidence) -> Integers:
    """People whom nobody had or soon got when volunteers asked for more and were given none, though they could be texted.

    Whoever was given back counts again until the first text was asked for, or anything was heard of this person.
    """
    people, asked_at, claims = evidence.world.people, evidence.books.empty_claims["at"], evidence.books.claims
    if people is None or not len(asked_at):
        return np.empty(0, np.int64)
    gifts = claims[claims["change"] > 0]
    given, changed = Moments(gifts["phone"], gifts["at"]), Moments(claims["phone"], claims["at"])
    served_at = _first_heard_of(evidence, people)
    left_out = np.zeros(len(people), np.bool_)
    for nth in np.unique(np.linspace(0, len(asked_at) - 1, _EMPTY_CLAIMS).astype(np.int64)).tolist():
        at = float(asked_at[nth])
        if any(begin <= at <= end for begin, end in evidence.world.away):
            continue
        unserved = np.flatnonzero(served_at > at + _GIVEN_WITHIN_S)
        whose, moments = people[unserved], np.full(len(unserved), at)
        last = changed.before(whose, moments)
        is_free = (last < 0) | (claims["change"][last] < 0) if len(claims) else last < 0
        waits = np.flatnonzero(is_free & (given.next_at(whose, moments) > at + _GIVEN_WITHIN_S))
        left_out[unserved[waits[~shut_around(evidence, whose[waits], moments[waits])]]] = True
    return people[left_out]


def _first_heard_of(evidence: Evidence, people: Integers) -> Floats:
    """When a text to each of the people was first asked for, or one of theirs or a mark came; inf: never."""
    inbound, marks = evidence.ledger.inbound.columns(), marks_of_the_list(evidence)
    listed, unsure = evidence.world.marked, evidence.books.unsure
    who = np.concatenate(
        (evidence.messages["phone"], inbound["person"], marks["phone"], unsure["phone"], listed)
    )
    at = (evidence.asked_at, inbound["at"], marks["asked_at"], unsure["at"], np.zeros(len(listed)))
    return Moments(who, np.concatenate(at)).next_at(people, np.zeros(len(people)))


def _contested(claims: Rows) -> int:
    """Contacts given within five seconds of another volunteer's, or whom another volunteer had before."""
    given = claims[claims["change"] > 0]
    if not len(given):
        return 0
    given = given[np.argsort(given["at"], kind="stable")]
    at, volunteer = given["at"], given["volunteer"]
    order = np.argsort(given["phone"], kind="stable")
    is_next = given["phone"][order][1:] == given["phone"][order][:-1]
    contested = np.zeros(len(given), np.bool_)
    contested[order[1:]] = is_next & (volunteer[order][1:] != volunteer[order][:-1])
    is_other = np.diff(volunteer, prepend=-1) != 0  # another volunteer's turn begins
    turn, first = np.cumsum(is_other) - 1, np.flatnonzero(is_other)
    begins, ends = at[first], at[np.append(first[1:], len(at)) - 1]
    before = np.concatenate(([-np.inf], ends[:-1]))[turn]
    after = np.concatenate((begins[1:], [np.inf]))[turn]
    contested |= (at - before <= _AT_ONCE_S) | (after - at <= _AT_ONCE_S)
    return int(np.count_nonzero(contested))


def _taken_twice(claims: Rows) -> list[int]:
    """One by one: only for contacts whose claims and releases do not simply alternate."""
    holder: dict[int, int] = {}
    taken = []
    for _, volunteer, phone, change in claims.tolist():
        if change > 0 and holder.get(phone, volunteer) != volunteer:
            taken.append(phone)
        if change > 0:
            holder[phone] = volunteer
        elif holder.get(phone) == volunteer:
            del holder[phone]
    return taken
