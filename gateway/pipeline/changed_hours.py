"""Hours that change: what waits already is not handed over after the new end of its person's window.

What was admitted for a shorter window than the new one keeps its end: a text is not good for longer than it was asked.
"""

from gateway.core.rules.hours import Open, verdict
from gateway.pipeline.campaigns import Campaign
from gateway.store import contacts, messages
from gateway.store.database import Database
from gateway.store.messages import WindowEnd


async def shorten_windows(database: Database, campaign: Campaign, now: float) -> None:
    """Of all that is queued. Raises DatabaseAway."""
    groups = await contacts.hours_groups(database, campaign.key)
    ends = [_end(campaign, group, is_answer, now) for group in groups for is_answer in (False, True)]
    await messages.shorten(database, campaign.key, ends)


def _end(campaign: Campaign, group: str, is_answer: bool, now: float) -> WindowEnd:
    found = verdict(now, campaign.settings.hours, group, "reply" if is_answer else "initial")
    return WindowEnd(group, is_answer, found.until if isinstance(found, Open) else now)
