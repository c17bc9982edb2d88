"""How a campaign's pool of numbers is used, how it grows, and how new numbers settle."""

import msgspec

from gateway.core.sending.filtering import FilteringPolicy

_FEWEST_A_DAY = 10  # a small pool may be bought whole in one day


class PoolPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a campaign's pool is used and grows; an empty preferred list means any number (F027).

    `max_wait_s`: buy when the numbers' own rates hold messages back for longer. `local_after`: buy in a
    preferred area code once so many of its recipients were first texted from elsewhere. Errors count within
    `error_window_s`; a quarantine lasts `quarantine_s`. `min_numbers`: so many are bought ahead.
    `max_purchases_per_day` None: half the pool, and at least ten. A bought number is tried `settle_s` after its
    purchase (0: carriers know it at once); each time they don't know it yet (30035) it waits twice as long.
    """

    preferred_area_codes: tuple[str, ...] = ()
    rotate_after: int = 300
    max_numbers: int = 49
    min_numbers: int = 0
    max_purchases_per_day: int | None = None
    max_wait_s: float = 5.0
    local_after: int = 50
    settle_s: float = 30.0
    max_settle_s: float = 4 * 3600.0
    quarantine_after_errors: int = 3
    retire_after_errors: int = 5
    error_window_s: float = 3600.0
    quarantine_s: float = 4 * 3600.0
    retire_after_quarantines: int = 3
    restock_s: float = 3600.0
    retry_anywhere_s: float = 60.0
    purchase_poll_s: float = 5.0
    filtering: FilteringPolicy = FilteringPolicy()

    def purchases_per_day(self, max_numbers: int) -> int:
        """How many numbers may be bought in 24 hours for a pool of at most `max_numbers`."""
        if self.max_purchases_per_day is not None:
            return self.max_purchases_per_day
        return max(_FEWEST_A_DAY, (max_numbers + 1) // 2)
