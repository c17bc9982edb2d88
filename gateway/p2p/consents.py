"""Who has agreed to broadcasts: noted with where and when, withdrawn, listed (F057, F058)."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.clock import Clock
from gateway.core.rules.errors import BadFields
from gateway.core.text.phone import PhoneFault, parse
from gateway.p2p.cursors import IdPlace, page_of, place_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import audit_log, broadcasts, directory
from gateway.store.broadcasts import Consented, ConsentRow
from gateway.store.database import Database
from gateway.store.rows import as_json

__all__ = ["ConsentPage", "Consented", "Consents", "GivenConsent", "Noted", "Whom", "Withdrawn"]

_AHEAD_S: Final = 300.0  # so far another clock may be before ours
_EARLIEST: Final = 631_152_000.0  # 1990: nobody agreed to a text before
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Phone = Annotated[str, Meta(max_length=40)]


class Whom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contact of the campaign, by its id or its phone however written."""

    contact_id: Id | None = None
    phone: Phone | None = None


class GivenConsent(Whom, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contact's consent in writing: when they gave it (Unix seconds), where (`source`: the form, the card, the text),
    and in which words."""

    given_at: Annotated[float, Meta(ge=_EARLIEST, le=2.0**33)]
    source: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    words: Annotated[str, Meta(max_length=1_000)] = ""


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """`noted` are new or newer than what was known; `known` were noted before, or are older than a withdrawal;
    `no_contacts` are no contacts of the campaign: their places among what was given, from 0."""

    noted: int
    known: int
    no_contacts: list[int]


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """`withdrawn` get no broadcast any more; the others had not agreed to any."""

    withdrawn: int
    no_contacts: list[int]


class ConsentPage(msgspec.Struct, frozen=True):
    """Consents, and the cursor of those after."""

    rows: list[Consented]
    next: str | None


class Consents:
    """Of every campaign."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def note(self, campaign: Campaign, given: Sequence[GivenConsent], who: str) -> Noted:
        """In force at its answer. Raises BadFields for a phone that is none, nobody named, and for times to come."""
        now = self._clock.now()
        late = [
            (f"consents[{nth}].given_at", "this is in the future")
            for nth, each in enumerate(given)
            if each.given_at > now + _AHEAD_S
        ]
        if late:
            raise BadFields(late)
        ids = await self._ids(campaign, given, "consents")
        newest: dict[int, GivenConsent] = {}
        for contact_id, each in zip(ids, given, strict=True):
            if contact_id and (contact_id not in newest or newest[contact_id].given_at < each.given_at):
                newest[contact_id] = each
        rows = [
            ConsentRow(contact_id=contact_id, given_at=each.given_at, source=each.source, words=each.words)
            for contact_id, each in newest.items()
        ]
        async with self._database.transaction() as transaction:
            noted = await broadcasts.give(transaction, campaign.key, rows, who, now)
            if noted:
                after = as_json({"contacts": len(noted)})
                await audit_log.write(transaction, campaign.key, now, who, "consents noted", after=after)
        missing = [nth for nth, contact_id in enumerate(ids) if contact_id is None]
        return Noted(noted=len(noted), known=len(given) - len(missing) - len(noted), no_contacts=missing)

    async def withdraw(self, campaign: Campaign, whom: Sequence[Whom], who: str) -> Withdrawn:
        """Nothing more is claimed for them from its answer on. Raises BadFields."""
        now, ids = self._clock.now(), await self._ids(campaign, whom, "contacts")
        async with self._database.transaction() as transaction:
            gone = await broadcasts.withdraw(
                transaction, campaign.key, [each for each in ids if each], who, now
            )
            if gone:
                after = as_json({"contacts": len(gone)})
                await audit_log.write(transaction, campaign.key, now, who, "consents withdrawn", after=after)
        missing = [nth for nth, contact_id in enumerate(ids) if contact_id is None]
        return Withdrawn(withdrawn=len(gone), no_contacts=missing)

    async def page(self, campaign: Campaign, cursor: str | None, limit: int) -> ConsentPage:
        """By contact. Raises BadInput for a cursor of another list."""
        after_id = 0 if cursor is None else place_of(cursor, IdPlace).id
        rows = await broadcasts.consents(self._database, campaign.key, after_id, limit + 1)
        return ConsentPage(*page_of(rows, limit, lambda each: IdPlace(each.contact_id)))

    async def _ids(self, campaign: Campaign, whom: Sequence[Whom], where: str) -> list[int | None]:
        """Their contact ids in their order; None for whoever is no contact. Raises BadFields."""
        faults: list[tuple[str, str]] = []
        phones: dict[int, str] = {}
        for nth, each in enumerate(whom):
            if (each.contact_id is None) == (each.phone is None):
                faults.append((f"{where}[{nth}]", "give contact_id or phone"))
            elif each.phone is not None:
                phone = parse(each.phone)
                if isinstance(phone, PhoneFault):
                    faults.append((f"{where}[{nth}].phone", phone.reason))
                else:
                    phones[nth] = phone.e164
        if faults:
            raise BadFields(faults)
        by_phone = await directory.contact_ids(self._database, campaign.key, list(phones.values()))
        named = [each.contact_id for each in whom if each.contact_id is not None]
        there = await directory.among(self._database, campaign.key, named)
        return [
            by_phone.get(phones[nth])
            if nth in phones
            else (each.contact_id if each.contact_id in there else None)
            for nth, each in enumerate(whom)
        ]
