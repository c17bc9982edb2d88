"""Whose look at the inbox would find nothing: volunteers look again and again, and most often there is nothing.

A look that finds nothing says what it takes for that to change: a text of a person of this volunteer, or that a
conversation of another one has waited for too long. Where nobody waits at all it speaks for every volunteer of the
campaign. Texts come in here, and so this worker knows; what another one writes is seen when the look is too old.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import NamedTuple

_UNDER_WAY_S = 60.0  # a text that was decided so long ago may not have been in the books at a look


class Nothing(NamedTuple):
    """A look that found nothing.

    `changes`: how many of the campaign's had been written when it began, at `asked_at` (Unix seconds) and `looked_at`
    of the steady clock. Nothing of others comes to this volunteer that has not waited since `oldest_at` (Unix seconds)
    at least.
    """

    changes: int
    asked_at: float
    looked_at: float
    open_groups: Sequence[str]
    oldest_at: float


class _Written(NamedTuple):
    """People's texts, the oldest of them from `oldest_at` (Unix seconds)."""

    nth: int
    oldest_at: float
    at: float  # of the steady clock


class _Campaign:
    """What was written, and looks that found nothing since."""

    def __init__(self) -> None:
        self.changes = 0
        self.unsure = 0  # the last change of which nobody knows whom it concerns
        self.of_volunteer: dict[int, int] = {}  # the last change that concerns a volunteer
        self.written: list[_Written] = []  # those before which no older text came, oldest first
        self.nobody: Nothing | None = None
        self.looks: dict[tuple[int, int], Nothing] = {}

    def oldest_since(self, changes: int) -> float:
        place = bisect_right(self.written, changes, key=lambda each: each.nth)
        return self.written[place].oldest_at if place < len(self.written) else inf


class QuietInboxes:
    """Of all campaigns; a look is good for `known_for_s` seconds of `steady`."""

    def __init__(self, steady: Callable[[], float], known_for_s: float) -> None:
        self._steady = steady
        self._known_for_s = known_for_s
        self._campaigns: defaultdict[int, _Campaign] = defaultdict(_Campaign)

    # ------------------------------------------------------------ what happens

    def wrote(self, campaign_id: int, volunteers: Iterable[int], oldest_at: float) -> None:
        """Texts of people of these volunteers are in the books, the oldest from `oldest_at` (Unix seconds)."""
        campaign = self._campaigns[campaign_id]
        campaign.changes += 1
        for volunteer in volunteers:
            campaign.of_volunteer[volunteer] = campaign.changes
        written, now = campaign.written, self._steady()
        while written and written[-1].oldest_at >= oldest_at:
            written.pop()
        written.append(_Written(campaign.changes, oldest_at, now))
        while written[0].at < now - self._known_for_s:
            del written[0]

    def unsure(self, campaign_id: int) -> None:
        """Something may have changed for anybody."""
        campaign = self._campaigns[campaign_id]
        campaign.changes += 1
        campaign.unsure = campaign.changes

    # ------------------------------------------------------------ looks

    def changes(self, campaign_id: int) -> int:
        """For a look that begins now."""
        return self._campaigns[campaign_id].changes

    def found(
        self, campaign_id: int, action_id: int, volunteer_id: int, nothing: Nothing | None, *, nobody: bool
    ) -> None:
        """What a volunteer's look found: something (None) or nothing; `nobody`: there is nothing for any volunteer."""
        campaign = self._campaigns[campaign_id]
        if nothing is None:  # what was shown may be the volunteer's own from now on
            campaign.changes += 1
            campaign.of_volunteer[volunteer_id] = campaign.changes
        else:
            campaign.looks[action_id, volunteer_id] = nothing
            if nobody:
                campaign.nobody = nothing

    def is_quiet(
        self,
        campaign_id: int,
        action_id: int,
        volunteer_id: int,
        *,
        open_groups: Collection[str],
        waited_since: float,
        texted_at: float,
    ) -> bool:
        """Whether a look would find nothing, when what has waited since `waited_since` (Unix seconds) changes hands.

        A volunteer who has texted (`texted_at`, Unix seconds) looks anew: whom somebody texts is theirs, waiting or not.
        """
        campaign = self._campaigns[campaign_id]
        nobody, look = campaign.nobody, campaign.looks.get((action_id, volunteer_id))
        if nobody is not None and nobody.changes == campaign.changes and self._is_fresh(nobody):
            return True
        if look is None or look.open_groups != open_groups or not self._is_fresh(look):
            return False
        if look.changes < max(campaign.unsure, campaign.of_volunteer.get(volunteer_id, 0)):
            return False
        if texted_at > look.asked_at - _UNDER_WAY_S:
            return False
        return waited_since < min(look.oldest_at, campaign.oldest_since(look.changes))

    def _is_fresh(self, look: Nothing) -> bool:
        return self._steady() - look.looked_at < self._known_for_s
