"""Who has opted out: a phone looked up, the list, and its counts (C5, C11)."""

from typing import Annotated

import msgspec

from gateway.core.bank.permissions import Act, Actor
from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import PhoneFault, parse
from gateway.p2p.cursors import page_of, place_of
from gateway.pipeline.campaigns import Campaigns
from gateway.store import opt_outs
from gateway.store.database import Database
from gateway.store.opt_outs import OptOut

_Phone = Annotated[str, msgspec.Meta(pattern=r"^\+[0-9]{1,20}$")]

__all__ = ["OptOut", "OptOutCounts", "OptOutPage", "OptOuts"]


class _PhonePlace(msgspec.Struct, frozen=True, array_like=True):
    phone: _Phone


class OptOutPage(msgspec.Struct, frozen=True):
    """Opt-outs in the order of their phones, and the cursor of those that come after them."""

    opt_outs: list[OptOut]
    next: str | None


class OptOutCounts(msgspec.Struct, frozen=True):
    """C11: `automatic` are those by a person's own text; `manual` those that volunteers noted. Besides these the
    provider's refusals, what lists brought along, and who was erased."""

    automatic: int
    manual: int
    provider: int
    imported: int
    erased: int


class OptOuts:
    """The list that decides who is texted, for whoever may read all of a campaign's contacts."""

    def __init__(self, database: Database, campaigns: Campaigns) -> None:
        self._database = database
        self._campaigns = campaigns

    def may_read(self, actor: Actor) -> bool:
        return actor.may(Act.READ_CONTACTS)

    async def look_up(self, campaign_id: int, phone: str) -> OptOut | None:
        """The opt-out of a phone, however written; None: it has not opted out. Raises BadInput."""
        parsed = parse(phone)
        if isinstance(parsed, PhoneFault):
            raise BadInput(parsed.reason, "phone")
        campaign = self._campaigns[campaign_id]
        return await opt_outs.look_up(self._database, campaign.key, campaign.opt_out_scope, parsed.e164)

    async def page(self, campaign_id: int, source: str | None, after: str | None, limit: int) -> OptOutPage:
        """The list, of one source or (None) of all. Raises BadInput for a cursor of another list."""
        campaign = self._campaigns[campaign_id]
        begin = "" if after is None else place_of(after, _PhonePlace).phone
        rows = await opt_outs.page(
            self._database, campaign.key, campaign.opt_out_scope, source, begin, limit + 1
        )
        return OptOutPage(*page_of(rows, limit, lambda each: _PhonePlace(each.phone)))

    async def counts(self, campaign_id: int) -> OptOutCounts:
        """How many are in force."""
        campaign = self._campaigns[campaign_id]
        found = await opt_outs.counts(self._database, campaign.organisation_id, campaign.opt_out_scope)
        return OptOutCounts(*(found[source] for source in opt_outs.SOURCES))
