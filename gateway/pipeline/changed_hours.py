"""Hours that change: what waits already is not handed over after the new end of its person's window.

What was admitted for a shorter window than the new one keeps its end: a text is not good for longer than it was asked.
"""

from collections.abc import Iterable

from gateway.core.rules.hours import open_until
from gateway.pipeline.campaigns import Campaign
from gateway.store import contacts, messages
from gateway.store.database import Database
from gateway.store.messages import WindowEnd


async def shorten_windows(
    database: Database, campaign: Campaign, now: float, groups: Iterable[str] | None = None
) -> None:
    """Of all that is queued, or of what is for people of these groups. Raises DatabaseAway."""
    if groups is None:
        groups = await contacts.hours_groups(database, campaign.key)
    ends = [_end(campaign, group, is_answer, now) for group in groups for is_answer in (False, True)]
    if ends:
        await messages.shorten(database, campaign.key, ends)


def _end(campaign: Campaign, group: str, is_answer: bool, now: float) -> WindowEnd:
    until = open_until(now, campaign.settings.hours, group, "reply" if is_answer else "initial")
    return WindowEnd(group, is_answer, until)
