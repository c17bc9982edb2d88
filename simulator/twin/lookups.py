"""Lookup: what is known of anybody's number, its country, its carrier and its kind of line.

Countries and their formats are those of the library `phonenumbers`; carriers are the market's own.
"""

from collections.abc import Sequence

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

from simulator.model.inventory import is_toll_free
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.world import AccountsWorld

_LONGEST = 60  # characters of what is asked about
_HERE = 1  # the country code whose carriers the market knows
_NETWORKS = {
    "att": ("AT&T Wireless", "310", "410"),
    "tmobile": ("T-Mobile USA, Inc.", "310", "260"),
    "verizon": ("Verizon Wireless", "311", "480"),
    "uscellular": ("US Cellular", "311", "580"),
    "regional": ("C Spire", "311", "230"),
    "voip": ("TextNow", None, None),
}
_PACKAGES = (
    "line_type_intelligence",
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
)
_LINE_TYPE = ("type", "carrier_name", "mobile_country_code", "mobile_network_code", "error_code")
_NOT_COVERED = 60600
_TYPES_V1 = ("carrier", "caller-name")
_KINDS_V1 = {"landline": "landline", "mobile": "mobile", "tollFree": "landline"}  # all others are voip
_NOBODY = {"caller_name": None, "caller_type": None, "error_code": None}
_ERRORS = {
    ValidationResult.TOO_SHORT: "TOO_SHORT",
    ValidationResult.TOO_LONG: "TOO_LONG",
    ValidationResult.INVALID_LENGTH: "INVALID_LENGTH",
    ValidationResult.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
}


class Lookups:
    """Answers for every number."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    def fetch(self, asked: str, form: Form) -> dict[str, object]:
        """GET /v2/PhoneNumbers/{number}; a number that is none is still answered with 200."""
        number, errors = _read(asked, form)
        answer: dict[str, object] = {
            "calling_country_code": None,
            "country_code": None,
            "phone_number": _e164(number) if number is not None else asked,
            "national_format": None,
            "valid": not errors,
            "validation_errors": list(errors),
            **dict.fromkeys(_PACKAGES),
            "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{_e164(number) if number is not None else asked}",
        }
        if number is not None and not errors:
            answer["calling_country_code"] = str(number.country_code)
            answer["country_code"] = phonenumbers.region_code_for_number(number)
            answer["national_format"] = _national(number)
            if "line_type_intelligence" in form.text("Fields").split(","):
                answer["line_type_intelligence"] = self._line_type(number)
        return answer

    def fetch_v1(self, asked: str, form: Form) -> dict[str, object]:
        """GET /v1/PhoneNumbers/{number}. Raises ApiError 20404 for a number that is none."""
        types = form.several("Type")
        if not set(types) <= set(_TYPES_V1):
            raise ApiError(20422, f"Type is one of {', '.join(_TYPES_V1)}")
        number, errors = _read(asked, form)
        if number is None or errors:
            raise ApiError(20404, f"The requested resource /PhoneNumbers/{asked} was not found")
        return {
            "caller_name": _NOBODY if "caller-name" in types else None,
            "carrier": self._carrier_v1(number) if "carrier" in types else None,
            "country_code": phonenumbers.region_code_for_number(number),
            "national_format": _national(number),
            "phone_number": _e164(number),
            "fraud": None,
            "add_ons": None,
            "url": f"https://lookups.twilio.com/v1/PhoneNumbers/{_e164(number)}",
        }

    def _carrier_v1(self, number: PhoneNumber) -> dict[str, object]:
        known = self._line_type(number)
        kind = known["type"]
        return {
            "mobile_country_code": known["mobile_country_code"],
            "mobile_network_code": known["mobile_network_code"],
            "name": known["carrier_name"],
            "type": _KINDS_V1.get(str(kind), "voip") if kind is not None else None,
            "error_code": known["error_code"],
        }

    def _line_type(self, number: PhoneNumber) -> dict[str, object]:
        """Of a number abroad nothing but that it is not covered."""
        if number.country_code != _HERE:
            return {**dict.fromkeys(_LINE_TYPE), "error_code": _NOT_COVERED}
        phone = int(_e164(number)[1:])
        if is_toll_free(phone):
            kind, carrier = "tollFree", ""
        else:
            kind, carrier = self._world.market.lookup(phone)
        name, country, network = _NETWORKS.get(carrier, (None, None, None))
        is_mobile = kind == "mobile"
        values = (kind, name, country if is_mobile else None, network if is_mobile else None, None)
        return dict(zip(_LINE_TYPE, values, strict=True))


def _read(asked: str, form: Form) -> tuple[PhoneNumber | None, Sequence[str]]:
    """The number, if it is one at all, and why it is not valid."""
    try:
        number = phonenumbers.parse(asked[:_LONGEST], form.text("CountryCode", "US").upper())
    except phonenumbers.NumberParseException as error:
        nowhere = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        return None, ("INVALID_COUNTRY_CODE" if nowhere else "NOT_A_NUMBER",)
    if phonenumbers.is_valid_number(number):
        return number, ()
    return number, (_ERRORS.get(phonenumbers.is_possible_number_with_reason(number), "INVALID_BUT_POSSIBLE"),)


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _national(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
