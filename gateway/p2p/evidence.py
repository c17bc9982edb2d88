"""Everything about one person as one file, for whoever must prove what was done (N18).

A ZIP with `evidence.json` (all facts) and `timeline.txt` (the same in words, in order of time, with the local hour in which each
text went out or came).
"""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.core.rules.errors import TextbankError
from gateway.core.rules.hours import zones_of
from gateway.p2p.messages import Messages
from gateway.p2p.story import Message, Story
from gateway.pipeline.campaigns import Campaign
from gateway.store import audit_log, evidence, results
from gateway.store.broadcasts import Consented
from gateway.store.database import Database
from gateway.store.evidence import Assigned, Books, Clicked, OnList, Reported, Said, Subject, Tagged

MOST_MESSAGES: Final = 200
"""Texts of ours whose stories are told, the newest."""
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # a ZIP knows no earlier time, and this one needs none


class NoContact(TextbankError):
    """There is no such contact."""

    def __init__(self, contact_id: int) -> None:
        super().__init__(f"there is no contact {contact_id}")


class Sent(msgspec.Struct, frozen=True):
    """A text of ours: as it stands, the local times of its hand-over (or else of its request), its whole story."""

    message: Message
    local: dict[str, str]
    story: Story


class Heard(msgspec.Struct, frozen=True):
    """A text of theirs, and the local times at which it came."""

    reply: Said
    local: dict[str, str]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All facts, as of an instant (Unix seconds). `time_zones`: where the person may be. `people`: users by their id.

    `is_whole`: no list was cut; lists keep the newest 500 rows, messages the newest 200.
    """

    campaign_id: int
    as_of: float
    is_whole: bool
    contact: Subject
    fields: msgspec.Raw
    time_zones: list[str]
    sent: list[Sent]
    heard: list[Heard]
    reports: list[Reported]
    tags: list[Tagged]
    clicks: list[Clicked]
    actions: list[Assigned]
    lists: list[OnList]
    consent: Consented | None
    people: dict[str, str]


class EvidencePacks:
    """Puts packs together. `now` tells Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float], messages: Messages) -> None:
        self._database = database
        self._now = now
        self._messages = messages

    async def pack(self, who: str, campaign: Campaign, contact_id: int) -> bytes:
        """The ZIP; who took it stands in the audit log. Raises NoContact."""
        found = await self.of(campaign, contact_id)
        what = msgspec.json.encode({"contact_id": contact_id}).decode()
        await audit_log.write(self._database, campaign.key, self._now(), who, "export evidence", after=what)
        return await asyncio.to_thread(_zipped, found)

    async def of(self, campaign: Campaign, contact_id: int) -> Evidence:
        """All facts about a contact. Raises NoContact."""
        books = await evidence.books(
            self._database, campaign.key, campaign.opt_out_scope, contact_id, MOST_MESSAGES
        )
        if books is None:
            raise NoContact(contact_id)
        zones = zones_of(books.subject.hours_group)
        sent = [each async for each in _told(self._messages, campaign, books, zones)]
        ids = sorted(set(_mentioned(books, sent)))
        names = await results.names(self._database, campaign.key, ids)
        return Evidence(
            campaign_id=campaign.campaign_id,
            as_of=self._now(),
            is_whole=_is_whole(books),
            contact=books.subject,
            fields=msgspec.Raw((books.subject.fields or "null").encode()),
            time_zones=zones,
            sent=sent,
            heard=[Heard(each, _local(each.at, zones)) for each in books.replies],
            reports=books.reports,
            tags=books.tags,
            clicks=books.clicks,
            actions=books.actions,
            lists=books.lists,
            consent=books.consent,
            people={str(each): name for each, name in sorted(names.items())},
        )


async def _told(
    messages: Messages, campaign: Campaign, books: Books, zones: list[str]
) -> AsyncIterator[Sent]:
    """Each text of ours with its story; one that is deleted meanwhile is missing."""
    for message_id in books.message_ids:
        message = await messages.find(campaign, message_id)
        story = await messages.story(campaign, message_id)
        if message is not None and story is not None:
            at = message.requested_at if message.slot_at is None else message.slot_at
            yield Sent(message, _local(at, zones), story)


def _mentioned(books: Books, sent: list[Sent]) -> Iterator[int]:
    """Every user who had to do with the person."""
    subject = books.subject
    ids = [subject.volunteer_id, subject.opt_out_noted_by]
    ids += [each.message.sender_id for each in sent]
    ids += [each.volunteer_id for each in books.replies] + [each.volunteer_id for each in books.actions]
    ids += [each.user_id for each in books.reports] + [each.user_id for each in books.tags]
    yield from (each for each in ids if each is not None)


def _is_whole(books: Books) -> bool:
    lists = (books.replies, books.reports, books.tags, books.clicks, books.actions, books.lists)
    return len(books.message_ids) < MOST_MESSAGES and all(len(each) < evidence.MOST for each in lists)


def _local(at: float, zones: list[str]) -> dict[str, str]:
    """The instant as the clocks show it where the person may be."""
    return {zone: datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat(timespec="seconds") for zone in zones}


def _zipped(found: Evidence) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        facts = msgspec.json.format(msgspec.json.encode(found), indent=2)
        for name, content in (("evidence.json", facts), ("timeline.txt", _timeline(found).encode())):
            packed.writestr(zipfile.ZipInfo(name, _EARLIEST), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _timeline(found: Evidence) -> str:
    """What happened, line by line."""
    lines = sorted(_lines(found), key=lambda each: each[0])
    who = f"{found.contact.first_name} {found.contact.last_name}".strip()
    head = f"Contact {found.contact.contact_id} of campaign {found.campaign_id}: {who}, {found.contact.phone}"
    told = [f"{_utc(at)}  {words}" for at, words in lines]
    return "\n".join([head, f"As of {_utc(found.as_of)}, times in UTC", "", *told, ""])


def _lines(found: Evidence) -> Iterator[tuple[float, str]]:
    for sent in found.sent:
        yield from (
            (each.at, f"message {sent.message.message_id}: {each.words}") for each in sent.story.story
        )
        yield sent.message.requested_at, f"message {sent.message.message_id} reads: {sent.message.body!r}"
        at = sent.message.slot_at
        if at is not None:
            yield at, f"message {sent.message.message_id}: local time {_clocks(sent.local)}"
    for heard in found.heard:
        words = f"reply {heard.reply.reply_id}, read as {heard.reply.read_as}: {heard.reply.text!r}"
        yield heard.reply.at, f"{words}; local time {_clocks(heard.local)}"
    for report in found.reports:
        by = found.people.get(str(report.user_id), f"user {report.user_id}")
        yield (
            report.at,
            f"report {report.report_id} by {by}: tags {', '.join(report.tags) or 'none'}; {report.fields}",
        )
    for click in found.clicks:
        yield click.at, f"pressed {click.url}"
    yield from _of_consent(found.consent)
    if found.contact.opted_out_at is not None:
        said = f": {found.contact.opt_out_words!r}" if found.contact.opt_out_words else ""
        yield (
            found.contact.opted_out_at,
            f"opted out, which is in force ({found.contact.opt_out_source}{said})",
        )


def _of_consent(consent: Consented | None) -> Iterator[tuple[float, str]]:
    if consent is None:
        return
    said, by = f", {consent.words!r}" if consent.words else "", f"noted {_utc(consent.noted_at)}"
    yield consent.given_at, f"agreed to broadcasts: {consent.source}{said}; {by} by {consent.noted_by}"
    if consent.withdrawn_at is not None:
        yield consent.withdrawn_at, f"wants no broadcasts any more, noted by {consent.withdrawn_by}"


def _clocks(local: dict[str, str]) -> str:
    return ", ".join(f"{at} ({zone})" for zone, at in local.items())


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
