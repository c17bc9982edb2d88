"""Another list of opt-outs takes long to be copied: whoever leaves meanwhile has left on both (C5)."""

from typing import cast

import pytest

from gateway.clock import Clock
from gateway.core.rules.campaign import WHOLE_ORGANISATION, CampaignSettings
from gateway.p2p.opt_out_scopes import ALIKE_S, OptOutScopes, ScopeIsChanging
from gateway.pipeline.campaigns import Campaigns
from gateway.store import campaigns, conversations, opt_out_scopes, opt_outs
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from tests.p2p.desk import NOW, OURS, Watch

BEFORE = [f"+1215555{each:04d}" for each in range(100, 110)]
LEAVES = "+12155550001"  # before those in the order in which they are copied


class Town:
    """A campaign with a list of opt-outs of its own, at a worker whose clock is set by hand."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.watch = Watch()
        self.known = Campaigns(database)
        self.scopes = OptOutScopes(database, self.known, cast("Clock", self.watch))

    async def leave(self, *phones: str) -> None:
        await conversations.import_opt_outs(self.database, 1, OURS.campaign_id, phones, self.watch.now())

    async def change(self) -> None:
        await self.known.load()
        await self.scopes.change(self.known[OURS.campaign_id], WHOLE_ORGANISATION, "user:9")

    async def has_left(self, phone: str) -> bool:
        """Where the campaign's row says."""
        await self.known.load()
        scope = self.known[OURS.campaign_id].opt_out_scope
        return await opt_outs.among(self.database, 1, scope, [phone]) == 1


@pytest.fixture
async def town(database: Database) -> Town:
    row = CampaignRow(OURS.campaign_id, OURS.campaign_id, "Bank", CampaignSettings().to_json(), False)
    await campaigns.create(database, row, NOW)
    made = Town(database)
    await made.leave(*BEFORE)
    return made


def slow(town: Town, patch: pytest.MonkeyPatch, took_s: float) -> None:
    """Each statement of the copy takes so long, of two opt-outs, and in the sixth somebody leaves."""
    copy, pieces = opt_out_scopes.copy, []

    async def slowly(*given: object, **named: object) -> object:
        done = await copy(*given, **{**named, "at_once": 2})  # type: ignore[arg-type]
        town.watch.at += took_s
        pieces.append(done)
        if len(pieces) == 5:
            await town.leave(LEAVES)
        return done

    patch.setattr(opt_out_scopes, "copy", slowly)


async def test_whoever_leaves_while_a_long_list_is_copied_has_left(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lists are kept alike for as long as it takes, not for ten minutes."""
    slow(town, monkeypatch, ALIKE_S / 3)
    await town.change()
    assert town.known[OURS.campaign_id].opt_out_scope == WHOLE_ORGANISATION
    assert [await town.has_left(each) for each in (*BEFORE, LEAVES)] == [True] * 11


async def test_a_change_that_stood_still_for_too_long_is_begun_anew(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        slow(town, patch, ALIKE_S + 60)
        with pytest.raises(ScopeIsChanging):
            await town.change()
    await town.leave(LEAVES)
    assert await town.has_left(LEAVES)
    await town.change()
    assert town.known[OURS.campaign_id].opt_out_scope == WHOLE_ORGANISATION
    assert [await town.has_left(each) for each in (*BEFORE, LEAVES)] == [True] * 11
