"""What the gateway tells when the day is over: the figures of its results, and its bill."""

from collections.abc import Mapping
from typing import Final

from gateway.app import Gateway
from gateway.core.bank.results import FigureName
from gateway.p2p.results import Results
from gateway.p2p.usage import UsageBook

_FIGURES: Final = {
    "first texts": FigureName.INITIALS,
    "answers": FigureName.FOLLOW_UPS,
    "texts under way": FigureName.UNDER_WAY,
    "texts that the carriers filtered": FigureName.CARRIER_FILTERING,
    "texts with other errors": FigureName.TWILIO_ERRORS,
    "texts that were blocked": FigureName.SAFEGUARDS,
    "responses": FigureName.RESPONSES,
}
_DAY_S: Final = 86_400.0


async def told_results(gateway: Gateway, campaign_id: int, action_id: int) -> Mapping[str, int]:
    """By the names under which the auditor counts them a second time."""
    await gateway.counting.run_once()
    results = Results(gateway.database, gateway.clock.now)
    of_action = await results.of(gateway.campaigns[campaign_id], action_id)
    told = {each.result: each for each in of_action.figures}
    figures = {name: told[figure].number for name, figure in _FIGURES.items()}
    return {
        **figures,
        "people who responded": told[FigureName.RESPONSES].people or 0,
        "segments": sum(each.segments for each in of_action.scripts),
    }


async def told_usage_usd(gateway: Gateway, campaign_id: int, since: float) -> float:
    """The bill for all that was asked for from `since` on (Unix seconds), as the campaign's admins read it."""
    campaign = gateway.campaigns[campaign_id]
    until = gateway.clock.now() + _DAY_S
    return (await UsageBook(gateway.database).between(campaign, since, until)).total.cost_usd
