"""Numbers bought: IncomingPhoneNumbers."""

import re

from simulator.model.inventory import is_area_code, is_toll_free
from simulator.model.messages import MarketRefusal, is_us_number
from simulator.twin.accounts import Account, OwnedNumber
from simulator.twin.area_codes import area_code_of, has_numbers
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.numbers_on_sale import pattern
from simulator.twin.wire import Page, date_2010, dialled, display, is_url
from simulator.twin.world import API_VERSION, AccountsWorld

_MAGIC = 15_005_550_000
_MAGIC_BUY = {_MAGIC: 21422, _MAGIC + 1: 21421, _MAGIC + 6: 0}
_URLS = ("sms_url", "sms_fallback_url", "status_callback", "voice_url", "voice_fallback_url")
_METHODS = (
    "sms_method",
    "sms_fallback_method",
    "status_callback_method",
    "voice_method",
    "voice_fallback_method",
)
_SIDS = {  # field -> how its sids begin, what it is until it is set
    "sms_application_sid": ("AP", ""),
    "voice_application_sid": ("AP", ""),
    "address_sid": ("AD", ""),
    "bundle_sid": ("BU", ""),
    "trunk_sid": ("TK", None),
    "identity_sid": ("RI", None),
    "emergency_address_sid": ("AD", None),
}
_CHOICES = {"voice_receive_mode": ("voice", "fax"), "emergency_status": ("Inactive", "Active")}
_FLAG = "voice_caller_id_lookup"
_ORIGIN = "twilio"
_CAMEL = re.compile(r"_([a-z])")


def parameter_name(field: str) -> str:
    """sms_url -> SmsUrl."""
    return _CAMEL.sub(lambda found: found[1].upper(), f"_{field}")


class Numbers:
    """The numbers of the market and of every account."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    def check_purchase(self, account: Account, form: Form, kind: str = "") -> None:
        """What is wrong with an order that no seller need be asked about; `kind` is Local, TollFree or Mobile."""
        phone, area_code = form.text("PhoneNumber"), form.text("AreaCode")
        if account.is_test:
            _check_magic(phone, area_code)
        elif phone:
            _check_phone(phone, kind)
        else:
            _check_area_code(area_code, kind)
        _settings(form)

    def buy(self, account: Account, form: Form) -> dict[str, object]:
        """POST IncomingPhoneNumbers.json, once the seller has answered what `check_purchase` let through."""
        world = self._world
        settings = _settings(form)
        if account.is_test:
            phone = dialled(form.text("PhoneNumber")) or _MAGIC + 6
            magic = OwnedNumber(f"PN{phone:032x}", phone, f"+{phone}", "", world.env.now, world.env.now, 0)
            return self.show(account, magic)
        campaign = account.campaign
        try:
            phone = dialled(form.text("PhoneNumber")) or world.market.next_on_sale(form.text("AreaCode"))
            if is_toll_free(phone):
                campaign = world.new_campaign(toll_free=True)
            world.market.sell(phone, campaign)
        except MarketRefusal as refusal:
            raise ApiError(refusal.code) from None
        number = world.own(
            account, phone, friendly_name=form.text("FriendlyName", display(phone)), campaign=campaign
        )
        number.settings.update(settings)
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
        number.settings.update(_settings(form))
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

    def page(self, account: Account, form: Form, kind: str = "") -> dict[str, object]:
        """All numbers, or those of one kind: Local, TollFree, Mobile."""
        page = Page(form)
        matches = pattern(form.text("PhoneNumber").lstrip("+"))
        name = form.optional("FriendlyName")
        none = form.text("Origin", _ORIGIN) != _ORIGIN or form.flag("Beta", False)  # all were bought here
        found = [
            number
            for number in reversed(account.numbers.values())
            if not none
            and kind in ("", _kind_of(number.phone))
            and matches(str(number.phone))
            and name in (None, number.friendly_name)
        ]
        shown, more = page.of(found)
        return page.body_2010(
            f"{account.base}/IncomingPhoneNumbers{kind and f'/{kind}'}.json",
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
            **{name: number.settings.get(name, "") for name in _URLS},
            **{name: number.settings.get(name, "POST") for name in _METHODS},
            **{name: number.settings.get(name, unset) for name, (_, unset) in _SIDS.items()},
            **{name: number.settings.get(name, allowed[0]) for name, allowed in _CHOICES.items()},
            _FLAG: number.settings.get(_FLAG) == "true",
            "emergency_address_status": "unregistered",
            "address_requirements": "none",
            "beta": False,
            "origin": _ORIGIN,
            "status": "in-use",
            "type": "tollfree" if is_toll_free(number.phone) else "local",
            "api_version": API_VERSION,
            "date_created": date_2010(start_at + number.created_at),
            "date_updated": date_2010(start_at + number.updated_at),
            "uri": f"{account.base}/IncomingPhoneNumbers/{number.sid}.json",
        }


def _check_magic(phone: str, area_code: str) -> None:
    """What test credentials are answered (twilio.com/docs/iam/test-credentials)."""
    if not phone and area_code == "500":
        return
    if code := _MAGIC_BUY.get(dialled(phone) or 0, 21421) if phone else 21452:
        raise ApiError(code)


def _check_phone(phone: str, kind: str) -> None:
    wanted = dialled(phone)
    if wanted is None or not is_us_number(wanted) or not has_numbers(area_code_of(wanted)):
        raise ApiError(21421, f"{phone[:20]} is not valid")
    if kind and _kind_of(wanted) != kind:
        raise ApiError(21421, f"{phone[:20]} is not of this kind")


def _check_area_code(area_code: str, kind: str) -> None:
    if not area_code:
        raise ApiError(21421, "PhoneNumber is required" if kind else "PhoneNumber or AreaCode is required")
    if kind:
        raise ApiError(21457)
    if not is_area_code(area_code):
        raise ApiError(21451)
    if not has_numbers(area_code):
        raise ApiError(21452)


def _kind_of(phone: int) -> str:
    return "TollFree" if is_toll_free(phone) else "Local"


def _settings(form: Form) -> dict[str, str]:
    """What the form sets, all of it well-formed. Raises ApiError 20422, or 21502 for a bad address of texts."""
    given: dict[str, str] = {}
    for name in (*_URLS, *_METHODS, *_SIDS, *_CHOICES, _FLAG):
        parameter = parameter_name(name)
        value = form.optional(parameter)
        if value is None:
            continue
        if name in _URLS and value and not is_url(value):
            raise ApiError(21502 if name.startswith("sms") else 20422, f"{parameter} is not a URL")
        if name in _METHODS:
            form.choice(parameter, ("GET", "POST"))
        elif name in _CHOICES:
            form.choice(parameter, _CHOICES[name])
        elif name in _SIDS and value:
            form.sid(parameter, _SIDS[name][0])
        elif name == _FLAG:
            value = str(form.flag(parameter, False)).lower()
        given[name] = value
    return given
