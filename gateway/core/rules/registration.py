"""What a campaign's registration allows: rates, T-Mobile's daily cap and the size of the number pool.

The table, in SMS segments per second (`data/registration.json`, with its sources):

| registration                         | total | AT&T | T-Mobile | Verizon | T-Mobile a day        |
|--------------------------------------|-------|------|----------|---------|-----------------------|
| score 75-100                         | 225   | 75   | 75       | 75      | 200,000               |
| score 50-74                          | 120   | 40   | 40       | 40      | 40,000                |
| score 25-49 / 0-24 or none           | 12    | 4    | 4        | 4       | 10,000 / 2,000        |
| low-volume standard brand            | 12    | 4    | 4        | 4       | 2,000                 |
| low volume mixed campaign            | 3.75  | 1.25 | 1.25     | 1.25    | 2,000 at most         |
| sole proprietor, one number          | 2.25  | 0.25 | 1        | 1       | 1,000                 |
| political campaign of a verified 527 | 225   | 75   | 75       | 75      | none (AT&T class K)   |
| political campaign of a non-profit   | by score                        || by score              |
| charity campaign (AT&T class P)      | 120   | 40   | 40       | 40      | by score              |
| toll-free, verified                  | 3     | -    | -        | -       | none                  |
| short code                           | 100   | -    | -        | -       | none                  |

US Cellular takes up to 8 a second, never more than a big carrier; every other small carrier 1 per number.
Governments have no daily cap, Russell 3000 companies the highest. A campaign has at most 49 numbers (C7).
"""

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.core.rules.errors import BadInput

BIG_CARRIERS: Final = ("att", "tmobile", "verizon")
_LONGEST_BRAND: Final = 200


class BadRegistration(BadInput, ValueError):
    """A registration that no carrier would grant, or that names impossible figures."""


class SenderKind(StrEnum):
    """What kind of sender the campaign's numbers are."""

    LONG_CODE = "long_code"
    TOLL_FREE = "toll_free"
    SHORT_CODE = "short_code"


class BrandKind(StrEnum):
    """Who the sending organisation is to The Campaign Registry."""

    STANDARD = "standard"
    LOW_VOLUME = "low_volume"
    SOLE_PROPRIETOR = "sole_proprietor"
    POLITICAL_527 = "political_527"
    NONPROFIT = "nonprofit"  # 501(c)(4), (5), (6)
    CHARITY = "charity"  # 501(c)(3)
    GOVERNMENT = "government"
    RUSSELL_3000 = "russell_3000"


class CampaignKind(StrEnum):
    """The registered use case."""

    POLITICAL = "political"
    CHARITY = "charity"
    DECLARED = "declared"
    MIXED = "mixed"
    LOW_VOLUME_MIXED = "low_volume_mixed"
    SOLE_PROPRIETOR = "sole_proprietor"


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was registered, and what was granted beyond the tables (`None`: as the tables say).

    `verified` is the Campaign Verify token of a 527 organisation, or the verification of a toll-free number.
    Campaigns that name the same `brand` share its day at T-Mobile; without a name a campaign is its own brand.
    `tmobile_elsewhere`: segments a day that the brand sends through other vendors; they are taken off the cap.
    `registered` False: the campaign is not approved yet, and carriers refuse its texts (30034). A carrier missing
    from a granted `carrier_per_s` is small: it has `small_carrier_number_per_s` for each number.
    `most_area_codes`: how many the campaign may prefer, more than four on request (F025).
    """

    sender: SenderKind = SenderKind.LONG_CODE
    brand_kind: BrandKind = BrandKind.POLITICAL_527
    campaign_kind: CampaignKind = CampaignKind.POLITICAL
    score: int | None = None
    verified: bool = True
    registered: bool = True
    total_per_s: float | None = None
    carrier_per_s: dict[str, float] | None = None
    number_per_s: float | None = None
    small_carrier_number_per_s: float | None = None
    tmobile_daily_cap: int | None = None
    tmobile_elsewhere: int = 0
    max_numbers: int | None = None
    most_area_codes: int = 4
    brand: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Rates in SMS segments per second; a carrier missing from `carrier_per_s` is small.

    A rate may be infinite (no limit). `tmobile_daily_segments` None means uncapped. `tmobile_fee_waived`: T-Mobile takes
    nothing from an approved campaign of a 501(c)(3) organisation. With
    `unknown_may_be_small` a recipient of unknown carrier also counts against the number's small-carrier rate:
    strict, but it holds a campaign that knows no carriers to one segment per second and number.
    """

    total_per_s: float
    carrier_per_s: Mapping[str, float]
    number_per_s: float
    small_carrier_number_per_s: float = 1.0
    tmobile_daily_segments: int | None = None
    max_numbers: int = 49
    unknown_may_be_small: bool = False
    tmobile_fee_waived: bool = False

    def pays_no_fee(self, carrier: str | None) -> bool:
        """Whether that carrier takes nothing from the campaign on top of the provider's price."""
        return self.tmobile_fee_waived and carrier == "tmobile"


class _Rates(msgspec.Struct, frozen=True):
    total_per_s: float
    big_carrier_per_s: float
    minimum_score: int = 0
    att_per_s: float | None = None
    max_numbers: int | None = None

    def by_carrier(self) -> dict[str, float]:
        rates = dict.fromkeys(BIG_CARRIERS, self.big_carrier_per_s)
        if self.att_per_s is not None:
            rates["att"] = self.att_per_s
        return rates | {"uscellular": min(_TABLES.uscellular_per_s, self.big_carrier_per_s)}


class _DailyCap(msgspec.Struct, frozen=True):
    minimum_score: int
    segments: int


class _Tables(msgspec.Struct, frozen=True):
    score_tiers: tuple[_Rates, ...]
    low_volume: _Rates
    low_volume_mixed: _Rates
    sole_proprietor: _Rates
    political: _Rates
    charity: _Rates
    uscellular_per_s: float
    small_carrier_number_per_s: float
    max_numbers: int
    tmobile_daily_by_score: tuple[_DailyCap, ...]
    tmobile_daily_low_volume: int
    tmobile_daily_sole_proprietor: int
    tmobile_daily_russell_3000: int
    toll_free_per_s: float
    short_code_per_s: float


_TABLES: Final = msgspec.json.decode(
    files("gateway.core").joinpath("data", "registration.json").read_bytes(), type=_Tables
)


def limits(registration: Registration) -> Limits:
    """The limits of a registration by the table above, with what was granted beyond it.

    Raises `BadRegistration` (a ValueError) for a combination that no carrier grants.
    """
    _check(registration)
    if registration.sender is SenderKind.LONG_CODE:
        granted = _long_code_limits(registration)
    else:
        granted = _single_rate_limits(registration)
    return _without_elsewhere(_with_overrides(granted, registration), registration.tmobile_elsewhere)


def _without_elsewhere(granted: Limits, elsewhere: int) -> Limits:
    cap = granted.tmobile_daily_segments
    if cap is None or not elsewhere:
        return granted
    return msgspec.structs.replace(granted, tmobile_daily_segments=max(0, cap - elsewhere))


def _long_code_limits(registration: Registration) -> Limits:
    rates = _rates(registration)
    return Limits(
        total_per_s=rates.total_per_s,
        carrier_per_s=MappingProxyType(rates.by_carrier()),
        number_per_s=rates.total_per_s,
        small_carrier_number_per_s=_TABLES.small_carrier_number_per_s,
        tmobile_daily_segments=_tmobile_daily_segments(registration),
        max_numbers=rates.max_numbers or _TABLES.max_numbers,
        tmobile_fee_waived=registration.brand_kind is BrandKind.CHARITY
        and registration.campaign_kind is CampaignKind.CHARITY,
    )


def _single_rate_limits(registration: Registration) -> Limits:
    """Toll-free numbers and short codes: one rate for the number, no carrier table and no daily cap."""
    toll_free = registration.sender is SenderKind.TOLL_FREE
    rate_per_s = _TABLES.toll_free_per_s if toll_free else _TABLES.short_code_per_s
    return Limits(
        total_per_s=rate_per_s,
        carrier_per_s=MappingProxyType({}),
        number_per_s=rate_per_s,
        small_carrier_number_per_s=math.inf,
        max_numbers=1,
    )


def _with_overrides(granted: Limits, registration: Registration) -> Limits:
    total_per_s, number_per_s = registration.total_per_s, registration.number_per_s
    carrier_per_s = registration.carrier_per_s
    changes = {
        "total_per_s": total_per_s,
        "carrier_per_s": None if carrier_per_s is None else MappingProxyType(carrier_per_s),
        "number_per_s": total_per_s if number_per_s is None else number_per_s,
        "small_carrier_number_per_s": registration.small_carrier_number_per_s,
        "tmobile_daily_segments": registration.tmobile_daily_cap,
        "max_numbers": registration.max_numbers,
    }
    return msgspec.structs.replace(
        granted, **{name: value for name, value in changes.items() if value is not None}
    )


def _rates(registration: Registration) -> _Rates:
    match registration.campaign_kind:
        case CampaignKind.POLITICAL if registration.brand_kind is BrandKind.POLITICAL_527:
            return _TABLES.political
        case CampaignKind.CHARITY:
            return _TABLES.charity
        case CampaignKind.LOW_VOLUME_MIXED:
            return _TABLES.low_volume_mixed
        case CampaignKind.SOLE_PROPRIETOR:
            return _TABLES.sole_proprietor
        case CampaignKind.POLITICAL | CampaignKind.DECLARED | CampaignKind.MIXED:
            if registration.brand_kind is BrandKind.LOW_VOLUME:
                return _TABLES.low_volume
            score = 100 if registration.brand_kind is BrandKind.RUSSELL_3000 else registration.score or 0
            return next(tier for tier in _TABLES.score_tiers if score >= tier.minimum_score)


def _tmobile_daily_segments(registration: Registration) -> int | None:
    of_brand = _tmobile_daily_of_brand(registration)
    if registration.campaign_kind is CampaignKind.LOW_VOLUME_MIXED:
        low_volume = _TABLES.tmobile_daily_low_volume
        return low_volume if of_brand is None else min(of_brand, low_volume)
    return of_brand


def _tmobile_daily_of_brand(registration: Registration) -> int | None:
    match registration.brand_kind:
        case BrandKind.GOVERNMENT:
            return None
        case BrandKind.SOLE_PROPRIETOR:
            return _TABLES.tmobile_daily_sole_proprietor
        case BrandKind.LOW_VOLUME:
            return _TABLES.tmobile_daily_low_volume
        case BrandKind.RUSSELL_3000:
            return _TABLES.tmobile_daily_russell_3000
        case BrandKind.POLITICAL_527 if registration.verified:
            return None
        case BrandKind.POLITICAL_527 | BrandKind.STANDARD | BrandKind.NONPROFIT | BrandKind.CHARITY:
            score = registration.score or 0
            tiers = _TABLES.tmobile_daily_by_score
            return next(tier.segments for tier in tiers if score >= tier.minimum_score)


def _check(registration: Registration) -> None:
    _check_figures(registration)
    if registration.sender is SenderKind.LONG_CODE:
        _check_use(registration)
    elif registration.sender is SenderKind.TOLL_FREE and not registration.verified:
        raise BadRegistration(
            "an unverified toll-free number may not send",
            "registration.verified",
            "finish toll-free verification (a political sender needs a Campaign Verify token)",
        )


def _check_figures(registration: Registration) -> None:
    if registration.score is not None and not 0 <= registration.score <= 100:
        raise BadRegistration(
            f"{registration.score} is no brand score", "registration.score", "give 0 to 100, or leave it out"
        )
    for name, figure in _granted_figures(registration):
        if not figure > 0:
            raise BadRegistration(
                f"{figure} is not above 0", f"registration.{name}", "leave it out or raise it"
            )
    if registration.tmobile_daily_cap is not None and registration.tmobile_daily_cap < 0:
        raise BadRegistration(
            "a daily cap below 0", "registration.tmobile_daily_cap", "leave it out or raise it"
        )
    if registration.tmobile_elsewhere < 0:
        raise BadRegistration(
            "fewer than no segments elsewhere", "registration.tmobile_elsewhere", "give 0 or more"
        )
    if len(registration.brand) > _LONGEST_BRAND:
        raise BadRegistration(
            f"a name of {len(registration.brand)} characters",
            "registration.brand",
            f"give at most {_LONGEST_BRAND}",
        )


def _granted_figures(registration: Registration) -> Iterator[tuple[str, float]]:
    """Name and value of each rate or number that was granted beyond the tables."""
    for name in ("total_per_s", "number_per_s", "small_carrier_number_per_s", "max_numbers"):
        figure = getattr(registration, name)
        if figure is not None:
            yield name, figure
    for carrier, rate_per_s in (registration.carrier_per_s or {}).items():
        yield f"carrier_per_s.{carrier}", rate_per_s


def _check_use(registration: Registration) -> None:
    """Which brand may register which use case (10DLC)."""
    brand, use = registration.brand_kind, registration.campaign_kind
    if (brand is BrandKind.SOLE_PROPRIETOR) != (use is CampaignKind.SOLE_PROPRIETOR):
        _refuse(
            brand, use, "a sole proprietor has exactly one use case, sole_proprietor, and nobody else has it"
        )
    if use is CampaignKind.CHARITY and brand is not BrandKind.CHARITY:
        _refuse(brand, use, "only a 501(c)(3) organisation (brand charity) can")
    if use is CampaignKind.POLITICAL:
        if brand not in (BrandKind.POLITICAL_527, BrandKind.NONPROFIT):
            _refuse(brand, use, "a 527 organisation or a 501(c)(4), (5) or (6) non-profit can")
        if brand is BrandKind.POLITICAL_527 and not registration.verified:
            _refuse(brand, use, "a 527 organisation needs its Campaign Verify token first (verified = true)")


def _refuse(brand: BrandKind, use: CampaignKind, do: str) -> None:
    raise BadRegistration(
        f"a {brand} brand can't register a {use} campaign", "registration.campaign_kind", do
    )
