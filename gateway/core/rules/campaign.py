"""A campaign's settings: what its admins decide, in one record that is stored as JSON (F215)."""

from typing import Annotated, Any, Final, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

from gateway.core.rules.errors import BadInput
from gateway.core.rules.hours import CampaignHours
from gateway.core.rules.registration import Registration
from gateway.core.rules.retry import RetryPolicy
from gateway.core.rules.safeguards import Policy
from gateway.core.sending.breakers import BreakerPolicy
from gateway.core.sending.numbers import PoolPolicy
from gateway.core.text.patterns import DOMAIN, URL, whole

DEFAULT_ORGANISATION = 1
"""Made with the tables: whose a campaign is when nobody says otherwise."""

WHOLE_ORGANISATION = 0
"""The opt-out scope of campaigns that honour each other's opt-outs, all of one organisation (C5)."""


class CampaignKey(NamedTuple):
    """What every row of a campaign is found by: the first two arguments of each statement about it."""

    organisation_id: int
    campaign_id: int


BUCKET_SIZES: Final = (10, 25, 100, 200)
"""The sizes that a settings page offers (F180, C13)."""
LARGEST_BUCKET: Final = 500

NameForAll = Annotated[str, Meta(max_length=50)]


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands where a contact's or a sender's first name is missing (F100), and whether "Reply STOP to
    unsubscribe." is added to first texts, where it counts as any other words (F012, C4)."""

    contact_fallback: NameForAll = "friend"
    sender_fallback: NameForAll = "a volunteer"
    opt_out_suffix: bool = False


Text = Annotated[str, Meta(max_length=500)]
Url = Annotated[str, Meta(pattern=whole(f"({URL})?"), max_length=500)]


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where scripts' links lead, and what they say of services elsewhere; blank: there is none.

    `domain`: with which tracked links begin, `https://go.example.org`, and which leads to our public door (F107).
    `registration_url`, `opt_in_title`, `opt_in_subtitle`: variables of scripts (F106, F108). `referral_url`: with
    `ref=` and a word of the contact's own at its end it is their referral link (F109). `description`: the campaign's.
    """

    domain: Annotated[str, Meta(pattern=whole(f"({DOMAIN})?"), max_length=200)] = ""
    registration_url: Url = ""
    referral_url: Url = ""
    opt_in_title: Text = ""
    opt_in_subtitle: Text = ""
    description: Text = ""


class CampaignSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours, registration, number pool, safeguards, retries, wording and breakers of one campaign.

    `bucket_size`: how many contacts a volunteer gets at once: 10, 25, 100, 200 or any other number up to 500 (F180, C13).
    `idle_bucket_s`: those not texted are for others again after as many seconds without a press, and
    `unanswered_s`: people who wait for an answer after as many (C22).
    """

    hours: CampaignHours = CampaignHours()
    registration: Registration = Registration()
    pool: PoolPolicy = PoolPolicy()
    safeguards: Policy = Policy()
    retry: RetryPolicy = RetryPolicy()
    wording: Wording = Wording()
    links: LinkSettings = LinkSettings()
    breakers: BreakerPolicy = BreakerPolicy()
    bucket_size: Annotated[int, Meta(ge=1, le=LARGEST_BUCKET)] = 100
    idle_bucket_s: Annotated[float, Meta(ge=60, le=86_400)] = 3600.0
    unanswered_s: Annotated[float, Meta(ge=60, le=7 * 86_400)] = 3600.0
    keep_assignments: bool = False
    require_report: bool = False  # C9: a person waits on until they were answered and reported on
    admins_need_second_factor: bool = False  # a code of an authenticator app, as well as the password
    broadcasts: bool = (
        False  # F052: texts that nobody presses may go to those who have agreed to them in writing
    )
    custom_replies: bool = True  # F119: volunteers may answer in words of their own
    admin_phones: frozenset[str] = frozenset()  # C12: test sends to these skip the lock

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_store(cls, text: str, where: str) -> "CampaignSettings":
        """What is stored, perhaps by a newer release: settings that this one does not know are left out.

        Raises BadInput for a value that this release can't read.
        """
        try:
            return msgspec.convert(_known(msgspec.json.decode(text), cls), cls)
        except msgspec.MsgspecError as error:
            raise BadInput(str(error), where, "correct the setting, or upgrade textbank") from error


def _known(value: Any, struct: Any) -> Any:
    """Without the fields that the struct, or a struct within it, does not have."""
    if not isinstance(value, dict) or not _is_struct(struct):
        return value
    types = get_type_hints(struct)
    return {name: _known(each, types[name]) for name, each in value.items() if name in types}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
