"""Our own confirmation of an opt-out, where the provider sends none: once for each opt-out, the ordinary road.

One confirmation is allowed, without promotion and within five minutes (47 CFR 64.1200(a)(12)). Its idempotency
key names the opt-out, so neither a webhook that comes again nor a restart makes it two.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from gateway.clock import Clock
from gateway.core.rules.idempotency import Key
from gateway.core.rules.safeguards import Kind, Request
from gateway.pipeline.admission import Admission, Outcome
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.idempotency import OURS, KeyReused, KeyUnderWay
from gateway.store import conversations
from gateway.store.conversations import Left
from gateway.store.database import Database

_log = structlog.get_logger("textbank.confirmations")
_WITHIN_S = 300.0


class Confirmations:
    """Who has just opted out gets the text; `{campaign}` in it is the campaign's name."""

    def __init__(
        self, database: Database, campaigns: Campaigns, clock: Clock, admission: Admission, text: str
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._admission = admission
        self._text = text

    def confirm(self, campaign_id: int, left: Sequence[Left]) -> None:
        """Requests the confirmations; nobody waits for them. Texts to numbers of no campaign get none."""
        if campaign_id not in self._campaigns:
            return
        body = self._text.replace("{campaign}", self._campaigns[campaign_id].name)
        for each in left:
            request = Request(
                campaign_id=campaign_id,
                contact_id=each.contact_id,
                kind=Kind.CONFIRMATION,
                body=body,
            )
            key = Key(OURS, f"opt-out:{each.contact_id}:{each.opted_out_at!r}")
            with contextlib.suppress(KeyUnderWay, KeyReused):  # it is being confirmed
                asked = self._admission.submit(request, key=key, always=True)  # it is asked for once
                asked.add_done_callback(_look)

    async def adopt(self, campaign_id: int) -> None:
        """What an earlier worker may not have come to; those it has sent are not sent again."""
        campaign = self._campaigns[campaign_id]
        since = self._clock.now() - _WITHIN_S
        left = await conversations.left_since(self._database, campaign.key, campaign.opt_out_scope, since)
        self.confirm(campaign_id, left)


def _look(outcome: "asyncio.Future[Outcome]") -> None:
    """An exception that nobody reads would be told by the garbage collector."""
    error = None if outcome.cancelled() else outcome.exception()
    if error is not None and not isinstance(
        error, KeyReused
    ):  # else it was confirmed, in the words of before
        _log.error("an opt-out could not be confirmed", error=str(error))
