"""/v1/Services: Messaging Services and the numbers in them. A service is a campaign of the market."""

from simulator.twin.accounts import Account, OwnedNumber, Service
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.phone_numbers import Numbers, parameter_name
from simulator.twin.wire import Page, date_v1, is_url
from simulator.twin.world import AccountsWorld

_MOST_NUMBERS = 400  # in a service's pool
_URLS = ("inbound_request_url", "fallback_url", "status_callback")
_METHODS = ("inbound_method", "fallback_method")
_FLAGS = (
    "sticky_sender",
    "area_code_geomatch",
    "mms_converter",
    "smart_encoding",
    "fallback_to_long_code",
    "use_inbound_webhook_on_number",
    "synchronous_validation",
)
_CHOICES = {
    **dict.fromkeys(_METHODS, ("POST", "GET")),
    "scan_message_content": ("inherit", "enable", "disable"),
    "usecase": ("notifications", "marketing", "verification", "discussion", "poll", "undeclared"),
}
_LINKS = {
    "phone_numbers": "PhoneNumbers",
    "short_codes": "ShortCodes",
    "alpha_senders": "AlphaSenders",
    "us_app_to_person": "Compliance/Usa2p",
    "us_app_to_person_usecases": "Compliance/Usa2p/Usecases",
    "channel_senders": "ChannelSenders",
    "destination_alpha_senders": "DestinationAlphaSenders",
}


class Services:
    """The Messaging Services of every account."""

    def __init__(self, world: AccountsWorld, numbers: Numbers) -> None:
        self._world = world
        self._numbers = numbers

    def create(self, account: Account, form: Form, origin: str) -> dict[str, object]:
        if not form.text("FriendlyName"):
            raise ApiError(20001, "Missing required parameter FriendlyName")
        now = self._world.env.now
        sid = account.make_sid("MG", f"service {self._world.draws.seed} {len(account.services)} {now!r}")
        service = Service(sid, 0, now, now)
        _apply(service, form)
        service.campaign = self._world.new_campaign()
        self._world.market.keywords.services.add(service.campaign)
        account.services[sid] = service
        return self.show(account, service, origin)

    def find(self, account: Account, sid: str) -> Service:
        service = account.services.get(sid)
        if service is None:
            raise ApiError(20404, f"The requested resource /Services/{sid} was not found")
        return service

    def update(self, account: Account, sid: str, form: Form, origin: str) -> dict[str, object]:
        service = self.find(account, sid)
        _apply(service, form)
        service.updated_at = self._world.env.now
        return self.show(account, service, origin)

    def delete(self, account: Account, sid: str) -> None:
        service = self.find(account, sid)
        for number in list(service.senders.values()):
            self._numbers.leave_pool(number)
        del account.services[sid]

    def page(self, account: Account, form: Form, origin: str) -> dict[str, object]:
        page = Page(form)
        shown, more = page.of(list(account.services.values())[::-1])
        rows = [self.show(account, service, origin) for service in shown]
        return page.body_v1(f"{origin}/v1/Services", "services", rows, more=more)

    def show(self, account: Account, service: Service, origin: str) -> dict[str, object]:
        """The resource, its URLs on the server that was asked."""
        url = f"{origin}/v1/Services/{service.sid}"
        shown: dict[str, object] = {
            name: getattr(service, name) for name in ("sid", "friendly_name", *_URLS, *_METHODS, *_FLAGS)
        }
        return {
            **shown,
            "account_sid": account.sid,
            "scan_message_content": service.scan_message_content,
            "validity_period": service.validity_period,
            "usecase": service.usecase,
            "us_app_to_person_registered": True,
            "date_created": date_v1(self._world.start_at + service.created_at),
            "date_updated": date_v1(self._world.start_at + service.updated_at),
            "url": url,
            "links": {
                **{name: f"{url}/{path}" for name, path in _LINKS.items()},
                "messages": f"{origin}{account.base}/Messages.json",
            },
        }

    # ------------------------------------------------------------ its numbers

    def add_number(self, account: Account, sid: str, form: Form, origin: str) -> dict[str, object]:
        """Into the pool, and into the campaign after the scenario's provisioning time; before that, 30035."""
        service = self.find(account, sid)
        number = account.numbers.get(form.text("PhoneNumberSid"))
        if number is None:
            raise ApiError(21421, "The PhoneNumberSid is invalid")
        if number.service is service:
            raise ApiError(21710)
        if number.service is not None:
            raise ApiError(21712)
        if len(service.senders) >= _MOST_NUMBERS:
            raise ApiError(21714)
        number.service = service
        number.joined_at = self._world.env.now
        service.senders[number.sid] = number
        for key in (0, number.phone // 10_000_000 % 1000):
            service.by_area_code.setdefault(key, []).append(number)
        if number.home_campaign == account.campaign:  # a toll-free number is no campaign's
            self._world.market.move(number.phone, service.campaign)
        return self.show_number(account, service, number, origin)

    def find_number(self, account: Account, sid: str, number_sid: str) -> tuple[Service, OwnedNumber]:
        service = self.find(account, sid)
        number = service.senders.get(number_sid)
        if number is None:
            raise ApiError(
                20404, f"The requested resource /Services/{sid}/PhoneNumbers/{number_sid} was not found"
            )
        return service, number

    def remove_number(self, account: Account, sid: str, number_sid: str) -> None:
        self._numbers.leave_pool(self.find_number(account, sid, number_sid)[1])

    def numbers_page(self, account: Account, sid: str, form: Form, origin: str) -> dict[str, object]:
        service = self.find(account, sid)
        page = Page(form)
        shown, more = page.of(list(service.senders.values()))
        rows = [self.show_number(account, service, number, origin) for number in shown]
        return page.body_v1(f"{origin}/v1/Services/{sid}/PhoneNumbers", "phone_numbers", rows, more=more)

    def show_number(
        self, account: Account, service: Service, number: OwnedNumber, origin: str
    ) -> dict[str, object]:
        joined = date_v1(self._world.start_at + number.joined_at)
        return {
            "sid": number.sid,
            "account_sid": account.sid,
            "service_sid": service.sid,
            "phone_number": number.e164,
            "country_code": "US",
            "capabilities": ["MMS", "SMS", "Voice"],
            "date_created": joined,
            "date_updated": joined,
            "url": f"{origin}/v1/Services/{service.sid}/PhoneNumbers/{number.sid}",
        }


def _apply(service: Service, form: Form) -> None:
    """Change what the form names, all of it or, with an ApiError, nothing."""
    changes: dict[str, object] = {
        name: form.flag(parameter_name(name), getattr(service, name)) for name in _FLAGS
    }
    for name in _URLS:
        value = form.optional(parameter_name(name))
        if value and not is_url(value):
            raise ApiError(20422, f"Invalid {parameter_name(name)}")
        changes[name] = getattr(service, name) if value is None else value or None
    for name, allowed in _CHOICES.items():
        changes[name] = form.choice(parameter_name(name), allowed, getattr(service, name))
    changes["validity_period"] = form.whole("ValidityPeriod", service.validity_period)
    if not 1 <= form.whole("ValidityPeriod", service.validity_period) <= 36_000:
        raise ApiError(20422, "Invalid ValidityPeriod")
    changes["friendly_name"] = form.text("FriendlyName", service.friendly_name)
    for field, setting in changes.items():
        setattr(service, field, setting)
