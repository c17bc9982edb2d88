"""Numbers on sale: AvailablePhoneNumbers."""

import re
from collections.abc import Callable, Iterable

from simulator.model.inventory import TOLL_FREE, is_area_code
from simulator.twin.accounts import Account
from simulator.twin.area_codes import has_numbers
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.wire import Page, display
from simulator.twin.world import AccountsWorld

KINDS = ("Local", "TollFree", "Mobile", "National", "Voip", "SharedCost", "MachineToMachine")
_SOLD = {"local": "Local", "toll_free": "TollFree", "mobile": "Mobile"}


class NumbersOnSale:
    """What the market has to sell, all of it in the United States."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    def countries(self, account: Account) -> dict[str, object]:
        """AvailablePhoneNumbers.json."""
        return {"uri": f"{account.base}/AvailablePhoneNumbers.json", "countries": [self.country(account)]}

    def country(self, account: Account) -> dict[str, object]:
        """AvailablePhoneNumbers/US.json."""
        base = f"{account.base}/AvailablePhoneNumbers/US"
        return {
            "country_code": "US",
            "country": "United States",
            "uri": f"{base}.json",
            "beta": False,
            "subresource_uris": {name: f"{base}/{kind}.json" for name, kind in _SOLD.items()},
        }

    def search(self, account: Account, kind: str, form: Form) -> dict[str, object]:
        """AvailablePhoneNumbers/US/{kind}.json; local and toll-free numbers alone are ever on sale."""
        page = Page(form)
        matches = pattern(form.text("Contains"))
        found: list[dict[str, object]] = []
        for area_code in filter(has_numbers, self._area_codes(kind, form)):
            on_sale = self._world.market.inventory.on_sale(area_code, 1000)
            found += [self._offer(phone) for phone in on_sale if matches(str(phone))]
        return {
            "uri": page.url(f"{account.base}/AvailablePhoneNumbers/US/{kind}.json", page.number),
            "available_phone_numbers": list(page.of(found)[0]),
        }

    def _area_codes(self, kind: str, form: Form) -> Iterable[str]:
        """Where to look; an area code that cannot be has nothing, as one that is sold out."""
        asked = form.text("AreaCode")
        if kind not in {"Local", "TollFree"}:
            return ()
        if asked:
            return (asked,) if (asked in TOLL_FREE) == (kind == "TollFree") else ()
        if kind == "TollFree":
            return TOLL_FREE
        states = self._world.scenario.population.states
        if region := form.text("InRegion"):
            return [str(code) for state in states if state.state == region for code in state.area_codes]
        contained = form.text("Contains").lstrip("+^").removeprefix("1")[:3]
        if is_area_code(contained):
            return (contained,)
        return self._world.scenario.inventory.anywhere

    def _offer(self, phone: int) -> dict[str, object]:
        return {
            "friendly_name": display(phone),
            "phone_number": f"+{phone}",
            "lata": None,
            "locality": None,
            "rate_center": None,
            "latitude": None,
            "longitude": None,
            "region": self._world.state_of(phone) or None,
            "postal_code": None,
            "iso_country": "US",
            "address_requirements": "none",
            "beta": False,
            "capabilities": {"voice": True, "SMS": True, "MMS": True},
        }


def pattern(contains: str) -> Callable[[str], bool]:
    """Whether digits match Twilio's pattern: `*` is one digit, `%` a run, letters are keys of a telephone."""
    if not contains:
        return lambda _: True
    start = contains.startswith(("+", "^"))
    body, end = contains.lstrip("+^").removesuffix("$"), contains.endswith("$")
    if not re.fullmatch(r"[0-9A-Za-z*%]{1,16}", body):
        raise ApiError(20422, "Invalid Contains")
    keys = body.upper().translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999"))
    pattern = keys.replace("*", "[0-9]").replace("%", "[0-9]*")
    found = re.compile(("^1?" if start else "") + pattern + ("$" if end else ""))
    return lambda digits: found.search(digits) is not None
