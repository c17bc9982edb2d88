"""What a campaign's settings may not be, beyond their types: every fault at once, by field (F025, F100, F215)."""

from collections.abc import Iterator

from gateway.core.rules.campaign import CampaignSettings, Wording
from gateway.core.rules.errors import BadInput
from gateway.core.rules.registration import limits
from gateway.core.sending.breakers import BreakerPolicy
from gateway.core.text.phone import PLACES

Fault = tuple[str, str]
"""A field's path and what is wrong with it."""


def faults(settings: CampaignSettings) -> Iterator[Fault]:
    """Each field that can't be, and why; nothing for settings that can be saved."""
    yield from _registration(settings)
    yield from _area_codes(settings)
    yield from _wording(settings.wording)
    yield from _breakers(settings.breakers)


def _registration(settings: CampaignSettings) -> Iterator[Fault]:
    try:
        limits(settings.registration)
    except BadInput as error:
        yield error.where, f"{error.what}; {error.do}"
    if not 0 <= settings.registration.most_area_codes <= len(PLACES):
        yield "registration.most_area_codes", f"give 0 to {len(PLACES)}"


def _area_codes(settings: CampaignSettings) -> Iterator[Fault]:
    codes, most = settings.pool.preferred_area_codes, settings.registration.most_area_codes
    if len(codes) > most:
        yield (
            "pool.preferred_area_codes",
            f"{len(codes)} area codes, and the registration allows {most}; leave some out, or ask for more",
        )
    for nth, code in enumerate(codes):
        if code not in PLACES:
            yield (
                f"pool.preferred_area_codes[{nth}]",
                "this is no area code of the US; write its three digits",
            )


def _wording(wording: Wording) -> Iterator[Fault]:
    for name in ("contact_fallback", "sender_fallback"):
        text: str = getattr(wording, name)
        if len(text.splitlines()) > 1:
            yield f"wording.{name}", "a name stands on one line"


def _breakers(policy: BreakerPolicy) -> Iterator[Fault]:
    for name, warn, opens in (
        ("filtered_open", policy.filtered_warn, policy.filtered_open),
        ("opt_outs_open", policy.opt_outs_warn, policy.opt_outs_open),
    ):
        if opens < warn:
            yield f"breakers.{name}", "give at least the share that warns"
