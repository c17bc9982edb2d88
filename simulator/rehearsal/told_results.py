"""What the gateway tells of an action when the day is over: the figures of its results page."""

from collections.abc import Mapping
from typing import Final

from gateway.app import Gateway
from gateway.core.bank.results import FigureName
from gateway.p2p.results import Results

_FIGURES: Final = {
    "first texts": FigureName.INITIALS,
    "answers": FigureName.FOLLOW_UPS,
    "texts under way": FigureName.UNDER_WAY,
    "texts that the carriers filtered": FigureName.CARRIER_FILTERING,
    "texts with other errors": FigureName.TWILIO_ERRORS,
    "texts that were blocked": FigureName.SAFEGUARDS,
    "responses": FigureName.RESPONSES,
}


async def told_results(gateway: Gateway, campaign_id: int, action_id: int) -> Mapping[str, int]:
    """By the names under which the auditor counts them a second time."""
    await gateway.counting.run_once()
    results = Results(gateway.database, gateway.clock.now)
    told = {
        each.result: each for each in (await results.of(gateway.campaigns[campaign_id], action_id)).figures
    }
    figures = {name: told[figure].number for name, figure in _FIGURES.items()}
    return {**figures, "people who responded": told[FigureName.RESPONSES].people or 0}
