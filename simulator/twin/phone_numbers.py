"""Numbers bought: IncomingPhoneNumbers."""

import re

from simulator.model.inventory import is_toll_free
from simulator.model.messages import MarketRefusal, is_us_number
from simulator.twin.accounts import Account, OwnedNumber
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.numbers_on_sale import pattern
from simulator.twin.wire import Page, date_2010, display, is_url, phone_of
from simulator.twin.world import API_VERSION, AccountsWorld

_MAGIC = 15_005_550_000
_MAGIC_BUY = {_MAGIC: 21422, _MAGIC + 1: 21421, _MAGIC + 6: 0}
_URLS = ("sms_url", "sms_fallback_url", "status_callback", "voice_url", "voice_fallback_url")
_METHODS = ("sms_method", "sms_fallback_method", "status_callback_method", "voice_method")
_OTHERS = ("sms_application_sid", "voice_application_sid", "address_sid", "bundle_sid")
_CAMEL = re.compile(r"_([a-z])")


def parameter_name(field: str) -> str:
    """sms_url -> SmsUrl."""
    return _CAMEL.sub(lambda found: found[1].upper(), f"_{field}")


class Numbers:
    """The numbers of the market and of every account."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    # ------------------------------------------------------------ bought

    def check_purchase(self, account: Account, form: Form) -> None:
        """What is wrong with an order that no seller need be asked about."""
        phone, area_code = form.text("PhoneNumber"), form.text("AreaCode")
        if account.is_test:
            code = _MAGIC_BUY.get(phone_of(phone) or 0, 21421) if phone else 21452
            if area_code == "500" and not phone:
                code = 0
            if code:
                raise ApiError(code)
        elif phone:
            wanted = phone_of(phone)
            if wanted is None or not is_us_number(wanted):
                raise ApiError(21421, f"{phone[:20]} is not valid")
        elif not area_code:
            raise ApiError(21421, "PhoneNumber or AreaCode is required")
        _settings(form)

    def buy(self, account: Account, form: Form) -> dict[str, object]:
        """POST IncomingPhoneNumbers.json, once the seller has answered."""
        world = self._world
        settings = _settings(form)
        if account.is_test:
            phone = phone_of(form.text("PhoneNumber")) or _MAGIC + 6
            magic = OwnedNumber(f"PN{phone:032x}", phone, f"+{phone}", "", world.env.now, world.env.now, 0)
            return self.show(account, magic)
        campaign = account.campaign
        try:
            phone = phone_of(form.text("PhoneNumber")) or world.market.next_on_sale(form.text("AreaCode"))
            if is_toll_free(phone):
                campaign = world.new_campaign(toll_free=True)
            world.market.sell(phone, campaign)
        except MarketRefusal as refusal:
            raise ApiError(refusal.code) from None
        number = world.own(
            account, phone, friendly_name=form.text("FriendlyName", display(phone)), campaign=campaign
        )
        number.urls.update(settings)
        return self.show(account, number)

    def find(self, account: Account, sid: str) -> OwnedNumber:
        number = account.numbers.get(sid)
        if number is None:
            raise ApiError(
                20404, f"The requested resource {account.base}/IncomingPhoneNumbers/{sid}.json was not found"
            )
        return number

    def update(self, account: Account, sid: str, form: Form) -> dict[str, object]:
        number = self.find(account, sid)
        number.urls.update(_settings(form))
        number.friendly_name = form.text("FriendlyName", number.friendly_name)
        number.updated_at = self._world.env.now
        return self.show(account, number)

    def release(self, account: Account, sid: str) -> None:
        number = self.find(account, sid)
        self.leave_pool(number)
        holding = self._world.market.inventory.holding(number.phone)
        if holding is not None:
            self._world.market.release(holding.number)
        del account.numbers[sid], account.by_phone[number.phone], self._world.owners[number.phone]

    def leave_pool(self, number: OwnedNumber) -> None:
        """Out of its Messaging Service, if it is in one."""
        service = number.service
        if service is None:
            return
        number.service = None
        del service.senders[number.sid]
        for key in (0, number.phone // 10_000_000 % 1000):
            service.by_area_code[key].remove(number)
        self._world.market.move(number.phone, number.home_campaign, at_once=True)

    def page(self, account: Account, form: Form) -> dict[str, object]:
        page = Page(form)
        matches = pattern(form.text("PhoneNumber").lstrip("+"))
        name = form.optional("FriendlyName")
        found = [
            number
            for number in reversed(account.numbers.values())
            if matches(str(number.phone)) and name in (None, number.friendly_name)
        ]
        shown, more = page.of(found)
        return page.body_2010(
            f"{account.base}/IncomingPhoneNumbers.json",
            "incoming_phone_numbers",
            [self.show(account, number) for number in shown],
            more=f"PA{shown[-1].sid}" if more else "",
        )

    def show(self, account: Account, number: OwnedNumber) -> dict[str, object]:
        """The resource; URLs that were never set are empty."""
        start_at = self._world.start_at
        return {
            "sid": number.sid,
            "account_sid": account.sid,
            "friendly_name": number.friendly_name,
            "phone_number": number.e164,
            "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
            **{name: number.urls.get(name, "") for name in (*_URLS, *_OTHERS)},
            **{name: number.urls.get(name, "POST") for name in _METHODS},
            "trunk_sid": None,
            "address_requirements": "none",
            "identity_sid": None,
            "emergency_status": "Inactive",
            "emergency_address_sid": None,
            "beta": False,
            "origin": "twilio",
            "status": "in-use",
            "type": "tollfree" if is_toll_free(number.phone) else "local",
            "api_version": API_VERSION,
            "date_created": date_2010(start_at + number.created_at),
            "date_updated": date_2010(start_at + number.updated_at),
            "uri": f"{account.base}/IncomingPhoneNumbers/{number.sid}.json",
        }


def _settings(form: Form) -> dict[str, str]:
    """The URLs and methods given. Raises ApiError 20422 for what is no URL."""
    given: dict[str, str] = {}
    for name in (*_URLS, *_METHODS, *_OTHERS):
        value = form.optional(parameter_name(name))
        if value is None:
            continue
        if name in _URLS and value and not is_url(value):
            raise ApiError(21502 if name.startswith("sms") else 20422, f"{parameter_name(name)} is not a URL")
        if name in _METHODS and value not in {"GET", "POST"}:
            raise ApiError(20422, f"{parameter_name(name)} is GET or POST")
        given[name] = value
    return given
