"""Tracked links: made and changed, followed by whoever presses them, and who pressed what (F107, F167)."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.links import SECRET_BYTES, Pressed, clean_slug, is_sealed, read
from gateway.core.bank.permissions import Actor
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.p2p.cursors import AtPlace, before, page_of
from gateway.pipeline.campaigns import Campaigns
from gateway.store import audit_log, campaign_actions, links
from gateway.store.database import Database
from gateway.store.group_commit import Bound, CommitWindow, TooMuchWaits, WindowOptions
from gateway.store.ids import Ids
from gateway.store.links import Click, ClickRow, LinkRow, SlugTaken
from gateway.store.rows import as_json
from gateway.store.windows import CampaignWindows

__all__ = ["ClickPage", "ClickRow", "Link", "LinkClash", "Links", "NoLink", "SlugTaken"]
MOST_LINKS: Final = 500
_FRESH_S: Final = 30.0  # a link that leads elsewhere does so on every worker after so long
_SOONEST_S: Final = 1.0  # whoever makes tokens up has the books read no more often
_WINDOW_S: Final = 0.5
_MOST_WAITING: Final = 20_000  # presses, of all campaigns; what comes then leads on and is not counted


class NoLink(TextbankError):
    """The campaign has no such link."""

    def __init__(self, link_id: int) -> None:
        super().__init__(f"there is no link {link_id}")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link, and how often it was pressed."""

    row: LinkRow
    clicks: int


class LinkClash(TextbankError):
    """Somebody else has changed the link meanwhile: `stored` is how it stands."""

    def __init__(self, stored: LinkRow) -> None:
        super().__init__(
            f"the link was changed by somebody else meanwhile: it is of version {stored.version} now"
        )
        self.stored = stored


class ClickPage(msgspec.Struct, frozen=True):
    """Presses, the newest first, and the cursor of those before."""

    rows: list[ClickRow]
    next: str | None


class _Known(msgspec.Struct, frozen=True):
    """A campaign's links as they were read; `at` by the steady clock."""

    secret: bytes | None
    urls: dict[int, str]
    at: float


class _Press(msgspec.Struct, gc=False):
    pressed: Pressed
    at: float
    click_id: int = 0  # once it is being written


class Links:
    """Of every campaign. `random` draws what seals their tokens."""

    def __init__(
        self, database: Database, campaigns: Campaigns, clock: Clock, random: Callable[[int], bytes]
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._random = random
        self._ids = Ids(database)
        self._known: dict[int, _Known] = {}
        self._presses: CampaignWindows[int, _Press, None] = CampaignWindows(
            self._write,
            WindowOptions(
                window_s=_WINDOW_S,
                bound=Bound(_MOST_WAITING, _MOST_WAITING),
                size_of=lambda _: 1,
            ),
        )

    # ------------------------------------------------------------ what there is

    async def every(self, campaign_id: int) -> list[Link]:
        """All the campaign's links, the oldest first."""
        key = self._campaigns[campaign_id].key
        rows = await links.every(self._database, key)
        counted = await links.counts(self._database, key) if rows else {}
        return [Link(row=row, clicks=counted.get(row.link_id, 0)) for row in rows]

    async def clicks(
        self, campaign_id: int, link_id: int | None, action_id: int | None, cursor: str | None, limit: int
    ) -> ClickPage:
        """At most `limit` presses, of a link or an action, or all. Raises BadInput for a cursor of another list."""
        rows = await links.clicks(
            self._database,
            self._campaigns[campaign_id].key,
            link_id=link_id,
            action_id=action_id,
            before=before(cursor),
            limit=limit + 1,
        )
        return ClickPage(*page_of(rows, limit, lambda each: AtPlace(each.at, each.click_id)))

    # ------------------------------------------------------------ made and changed

    async def make(self, actor: Actor, campaign_id: int, slug: str, url: str) -> LinkRow:
        """A link, by whose slug scripts name it. Raises BadInput, and SlugTaken for one that is there."""
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        [link_id] = await self._ids.take(1)
        row = LinkRow(link_id=link_id, slug=clean_slug(slug), url=url, created_at=now)
        async with self._database.transaction() as transaction:
            await links.keep_secret(transaction, campaign.key, self._random(SECRET_BYTES))
            if len(await links.every(transaction, campaign.key)) >= MOST_LINKS:
                raise BadInput(
                    f"a campaign has at most {MOST_LINKS} links", "slug", "archive what is not used"
                )
            await links.add(transaction, campaign.key, row)
            await campaign_actions.tell_workers(transaction, campaign.key)
            await audit_log.write(transaction, campaign.key, now, actor.name, "link made", after=as_json(row))
        await self._campaigns.take_up(campaign_id)
        return row

    async def change(
        self,
        actor: Actor,
        campaign_id: int,
        link_id: int,
        *,
        url: str | None = None,
        archived: bool | None = None,
        version: int | None = None,
    ) -> LinkRow:
        """Where it leads, also for what was sent: on every worker within half a minute. Raises NoLink and LinkClash."""
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        async with self._database.transaction() as transaction:
            before = await links.locked(transaction, campaign.key, link_id)
            if before is None:
                raise NoLink(link_id)
            if version is not None and version != before.version:
                raise LinkClash(before)
            archived_at = before.archived_at if archived is None else now if archived else None
            after = msgspec.structs.replace(
                before, url=url or before.url, archived_at=archived_at, version=before.version + 1
            )
            await links.save(transaction, campaign.key, after)
            await campaign_actions.tell_workers(transaction, campaign.key)
            await audit_log.write(
                transaction,
                campaign.key,
                now,
                actor.name,
                "link changed",
                before=as_json(before),
                after=as_json(after),
            )
        self._known.pop(campaign_id, None)
        await self._campaigns.take_up(campaign_id)
        return after

    # ------------------------------------------------------------ pressed

    async def follow(self, token: str, *, counts: bool) -> str | None:
        """Where a text's link leads; None: nobody was sent this token. What `counts` is written down later, and
        nobody waits for that."""
        pressed = read(token)
        if pressed is None or pressed.campaign_id not in self._campaigns:
            return None
        known = await self._links_of(pressed)
        url = known.urls.get(pressed.link_id)
        if known.secret is None or url is None or not is_sealed(known.secret, token):
            return None
        if counts:
            self._count(pressed)
        return url

    async def _links_of(self, pressed: Pressed) -> _Known:
        known = self._known.get(pressed.campaign_id)
        age_s = float("inf") if known is None else self._clock.steady() - known.at
        if known is None or age_s > _FRESH_S or (age_s > _SOONEST_S and pressed.link_id not in known.urls):
            key = self._campaigns[pressed.campaign_id].key
            secret = await links.secret(self._database, key)
            rows = await links.every(self._database, key) if secret is not None else []
            known = _Known(secret, {row.link_id: row.url for row in rows}, self._clock.steady())
            self._known[pressed.campaign_id] = known
        return known

    def _count(self, pressed: Pressed) -> None:
        try:
            written = self._presses.put(pressed.campaign_id, _Press(pressed, self._clock.now()))
        except TooMuchWaits:
            return
        written.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _write(self, campaign_id: int, items: list[_Press]) -> list[None]:
        """May be called again with the same items: an id that is there is not written twice."""
        nameless = [item for item in items if not item.click_id]
        for item, click_id in zip(nameless, await self._ids.take(len(nameless)), strict=True):
            item.click_id = click_id
        await links.record(self._database, self._campaigns[campaign_id].key, [_click(each) for each in items])
        return [None] * len(items)

    def close(self) -> None:
        """Stops at once; a press that is not written yet is not counted."""
        self._presses.close()

    @property
    def windows(self) -> "Sequence[CommitWindow[_Press, None]]":
        return list(self._presses)


def _click(press: _Press) -> Click:
    who = press.pressed
    return Click(press.click_id, who.link_id, who.contact_id, who.script_id, press.at)
