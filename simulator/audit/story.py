"""The whole life of a message or of a person, a line each, in local time and in the order of events."""

from collections.abc import Iterator
from math import isnan
from zoneinfo import ZoneInfo

import numpy as np

from simulator.audit.evidence import Evidence
from simulator.audit.records import KINDS, STATES, Rows
from simulator.audit.wall_clock import Integers, clock_text
from simulator.model.carriers import CARRIERS
from simulator.model.ledger import STATUSES, inbound_sid_of

Event = tuple[float, str]  # Unix seconds, what happened

_MOST_LINES = 60


class Stories:
    """Tells what ledger and books know; slow, for the few that are told."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._start_at = evidence.world.start_at
        self._zone = ZoneInfo(evidence.world.zone)

    def of_message(self, message_id: int) -> tuple[str, ...]:
        """One message: the request, every attempt, and what its person said and wished."""
        evidence = self._evidence
        sent = evidence.submissions["message_id"] == message_id
        answers = evidence.books.answers[evidence.books.answers["message_id"] == message_id]
        events = [*self._told(answers), *self._stored(message_id), *self._attempts(np.flatnonzero(sent))]
        phones = {*evidence.messages["phone"][evidence.message_ids == message_id].tolist()}
        for phone in sorted(phones | {*evidence.to[sent].tolist()} | {*answers["phone"].tolist()}):
            events += self._said(phone)
        return self._lines(events)

    def _told(self, answers: Rows) -> Iterator[Event]:
        """What volunteers were told of a message."""
        for row in answers:
            what = f"message {row['message_id']} to +{row['phone']} is {STATES[row['state']]}"
            yield self._at(row["at"]), f"volunteer {row['volunteer']} is told: {what}"

    def of_submission(self, n: int) -> tuple[str, ...]:
        """One message by its row in the ledger; without a message id only that attempt."""
        message_id = int(self._evidence.submissions["message_id"][n])
        if message_id >= 0:
            return self.of_message(message_id)
        return self._lines([*self._attempts(np.array([n])), *self._said(int(self._evidence.to[n]))])

    def of_person(self, phone: int) -> tuple[str, ...]:
        """Everything about one person."""
        evidence = self._evidence
        events = [*self._said(phone), *self._claimed(phone), *self._watched(phone)]
        for message_id in evidence.message_ids[evidence.messages["phone"] == phone].tolist():
            events += self._stored(message_id)
        events += self._attempts(np.flatnonzero(evidence.to == phone))
        return self._lines(events)

    def of_number(self, number: int) -> tuple[str, ...]:
        """One of the campaign's own numbers: every purchase up to its own, the texts that it was refused, and its end."""
        ledger = self._evidence.ledger
        tried, released = ledger.purchases.columns(), ledger.releases.columns()
        own_at = tried["at"][(tried["number"] == number) & (tried["code"] == 0)]
        until = own_at.max(initial=-np.inf)
        events = [*self._bought(tried[tried["at"] <= until])]
        events += [
            (self._at(at), f"+{number} is given back") for at in released["at"][released["number"] == number]
        ]
        refused = ledger.refusals.columns()
        refused = refused[refused["sender"] == number]
        events += [
            (self._at(at), f"the provider refuses a text from +{number}{_code(code)}")
            for at, code in zip(refused["at"].tolist(), refused["code"].tolist(), strict=True)
        ]
        return self._lines(events)

    def _bought(self, tried: Rows) -> Iterator[Event]:
        for at, number, _, code in tried.tolist():
            what = f"a purchase fails{_code(code)}" if code else f"+{number} is bought"
            yield self._at(at), what

    def _lines(self, events: list[Event]) -> tuple[str, ...]:
        told = sorted(events, key=lambda event: event[0])
        lines = tuple(f"{clock_text(at, self._zone)}  {what}" for at, what in told[:_MOST_LINES])
        rest = len(told) - _MOST_LINES
        return (*lines, f"… and {rest} more") if rest > 0 else lines

    def _stored(self, message_id: int) -> Iterator[Event]:
        """What the store says."""
        books = self._evidence.books
        for row in self._evidence.messages[self._evidence.message_ids == message_id]:
            name = f"message {message_id}"
            kind = KINDS[row["kind"]] if row["kind"] < len(KINDS) else "unknown kind"
            yield (
                float(row["requested_at"]),
                f"{name} requested: {kind} to +{row['phone']}, {row['segments']} segments",
            )
            state = STATES[row["state"]] if row["state"] < len(STATES) else "no state"
            word = f"{state}{_code(int(row['code']))}, attempt {row['attempt']}"
            if not isnan(row["slot_at"]):
                yield float(row["slot_at"]), f"{name}: the gateway's slot, from {_number(int(row['number']))}"
            final_at = float(row["final_at"])
            if isnan(final_at):
                latest = np.nanmax([row["requested_at"], row["slot_at"]])
                yield float(latest), f"{name} stands in the store at the end as {word}"
            else:
                yield final_at, f"{name} in the store since then: {word}"
        for row in books.past_attempts[books.past_attempts["message_id"] == message_id]:
            over = f"{STATES[row['state']]}{_code(int(row['code']))}"
            requested = self._evidence.messages[self._evidence.message_ids == message_id]["requested_at"]
            at = float(requested[0]) if len(requested) else self._start_at
            yield at, f"message {message_id}: attempt {row['attempt']} is past in the store, {over}"

    def _attempts(self, rows: Integers) -> Iterator[Event]:
        """What the ledger saw of some submissions."""
        evidence = self._evidence
        for n in rows.tolist():
            row = evidence.submissions[n]
            name = (
                f"message {row['message_id']} attempt {row['attempt']}"
                if row["message_id"] >= 0
                else f"text {n}"
            )
            carrier = CARRIERS[row["carrier"]]
            ours = f"+{row['sender']} to +{row['to']}, {row['segments']} segments"
            yield self._at(row["handed_at"]), f"{name} handed over: {ours}"
            yield self._at(row["arrived_at"]), f"{name} at the provider"
            for accept in evidence.accepts[evidence.accepts["n"] == n]:
                yield self._at(accept["departed_at"]), f"{name} left the provider's queue"
                yield self._at(accept["at"]), f"{name} at the carrier ({carrier})"
            yield from self._end(n, name)

    def _end(self, n: int, name: str) -> Iterator[Event]:
        ledger = self._evidence.ledger
        arrivals, finals = ledger.arrivals.columns(), ledger.finals.columns()
        for arrival in arrivals[arrivals["n"] == n]:
            yield (
                self._at(arrival["at"]),
                f"{name} {'on the handset' if arrival['shown'] else 'silently dropped'}",
            )
        for final in finals[finals["n"] == n]:
            yield self._at(final["at"]), f"{name} {STATUSES[final['status']]}{_code(int(final['code']))}"
        for word in self._evidence.statuses[self._evidence.statuses["n"] == n]:
            told = f"{STATUSES[word['status']]}{_code(int(word['code']))}"
            yield self._at(word["at"]), f"{name}: the webhook '{told}' reached the gateway"

    def _said(self, phone: int) -> Iterator[Event]:
        """A person's texts and opt-outs."""
        ledger, books = self._evidence.ledger, self._evidence.books
        inbound, deliveries = ledger.inbound.columns(), ledger.inbound_deliveries.columns()
        for n in np.flatnonzero(inbound["person"] == phone).tolist():
            text = ledger.inbound_texts[n]
            yield self._at(inbound["at"][n]), f"+{phone} writes to +{inbound['number'][n]}: {text!r}"
            for at in deliveries["at"][deliveries["n"] == n]:
                yield self._at(at), f"the webhook of {text!r} reached the gateway"
            for row in books.inbound[books.inbound["provider_sid"] == inbound_sid_of(n)]:
                yield float(row["received_at"]), f"the store has {text!r} as {row['intent']}"
        for row in books.opt_outs[books.opt_outs["phone"] == phone]:
            yield float(row["at"]), f"+{phone} opted out ({row['source']}) by the store"

    def _watched(self, phone: int) -> Iterator[Event]:
        """What the contact list marks, what stood on a screen, and what volunteers marked."""
        books, world = self._evidence.books, self._evidence.world
        if phone in world.marked:
            yield self._start_at, f"+{phone} is marked as opted out in the contact list"
        for at in books.shown["at"][books.shown["phone"] == phone]:
            yield self._at(at), f"+{phone} stands on a volunteer's screen"
        if books.marks is not None:
            for row in books.marks[books.marks["phone"] == phone]:
                yield self._at(row["asked_at"]), f"a volunteer marks +{phone} as opted out"

    def _claimed(self, phone: int) -> Iterator[Event]:
        books = self._evidence.books
        claims = books.claims[books.claims["phone"] == phone]
        for at, volunteer, _, change in claims.tolist():
            verb = "is given" if change > 0 else "gives back"
            yield self._at(at), f"volunteer {volunteer} {verb} +{phone}"
        if not len(claims):
            for at, volunteer in books.empty_claims.tolist():
                yield self._at(at), f"volunteer {volunteer} asks for more people, and gets none"

    def _at(self, seconds: float) -> float:
        return self._start_at + float(seconds)


def _code(code: int) -> str:
    return f" ({code})" if code else ""


def _number(number: int) -> str:
    return f"+{number}" if number else "no number"
