"""Lookup: what is known of anybody's number, its carrier and its kind of line."""

import re

from simulator.model.inventory import is_toll_free
from simulator.model.messages import is_us_number
from simulator.twin.forms import Form
from simulator.twin.wire import display, phone_of
from simulator.twin.world import AccountsWorld

_NETWORKS = {
    "att": ("AT&T Wireless", "310", "410"),
    "tmobile": ("T-Mobile USA, Inc.", "310", "260"),
    "verizon": ("Verizon Wireless", "311", "480"),
    "uscellular": ("US Cellular", "311", "580"),
    "regional": ("C Spire", "311", "230"),
    "voip": ("TextNow", None, None),
}


class Lookups:
    """Answers for every number."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    def fetch(self, asked: str, form: Form) -> dict[str, object]:
        """GET /v2/PhoneNumbers/{number}; a number that is none is still answered with 200."""
        digits = re.sub(r"[\s().-]", "", asked)
        phone = phone_of(digits if digits.startswith("+") else f"+1{digits}")
        valid = phone is not None and is_us_number(phone)
        fields = form.text("Fields").split(",")
        answer: dict[str, object] = {
            "calling_country_code": "1" if valid else None,
            "country_code": "US" if valid else None,
            "phone_number": f"+{phone}" if phone is not None else asked,
            "national_format": display(phone) if valid and phone is not None else None,
            "valid": valid,
            "validation_errors": [] if valid else [_invalid(digits)],
            **dict.fromkeys(_PACKAGES),
            "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{asked}",
        }
        if valid and phone is not None and "line_type_intelligence" in fields:
            answer["line_type_intelligence"] = self._line_type(phone)
        return answer

    def _line_type(self, phone: int) -> dict[str, object]:
        if is_toll_free(phone):
            kind, carrier = "tollFree", ""
        else:
            kind, carrier = self._world.market.lookup(phone)
        name, country, network = _NETWORKS.get(carrier, (None, None, None))
        return {
            "type": kind,
            "carrier_name": name,
            "mobile_country_code": country if kind == "mobile" else None,
            "mobile_network_code": network if kind == "mobile" else None,
            "error_code": None,
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


def _invalid(digits: str) -> str:
    number = digits.removeprefix("+").removeprefix("1") if digits.startswith("+1") else digits.lstrip("+")
    if not number.isascii() or not number.isdigit():
        return "NOT_A_NUMBER"
    if len(number) != 10:
        return "TOO_SHORT" if len(number) < 10 else "TOO_LONG"
    return "INVALID_BUT_POSSIBLE"
