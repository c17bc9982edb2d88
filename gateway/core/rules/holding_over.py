"""A first text whose window ends while it waits: it ends with it, or is held until its person's next window.

An action says which (its `overflow`). What is asked for without an action, and every reply, ends with the window.
"""

from typing import Final, NamedTuple

from gateway.core.rules.hours import DAY_S, CampaignHours, Open, verdict

LONGEST_HOLD_S: Final = 7.0 * DAY_S  # from the request to the last window in which it may still go


class Window(NamedTuple):
    """From when, and until when (not included), a person may be texted, in Unix seconds."""

    opens_at: float
    ends_at: float


def next_window(now: float, hours: CampaignHours, group: str, *, shortest_s: float) -> Window | None:
    """The first window of a group of people that lasts for longer than `shortest_s` from `now` or its beginning on.

    A window that is open but all but over is not meant. None: the campaign's hours and theirs never meet.
    """
    at = now
    while at < now + LONGEST_HOLD_S:
        found = verdict(at, hours, group)
        if not isinstance(found, Open):
            at = found.opens_at
        elif found.until - at > shortest_s:
            return Window(at, found.until)
        else:
            at = found.until
    return None


def held_until(
    now: float, requested_at: float, hours: CampaignHours, group: str, *, shortest_s: float
) -> Window | None:
    """The window in which a first text that was asked for at `requested_at` goes; None: it ends now.

    None also when it would go later than a week after it was asked for.
    """
    window = next_window(now, hours, group, shortest_s=shortest_s)
    return window if window is not None and window.opens_at <= requested_at + LONGEST_HOLD_S else None
