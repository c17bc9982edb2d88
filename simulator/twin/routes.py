"""Which address is answered by whom. Handlers run inside the model, at its present moment."""

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

import msgspec

from simulator.twin.account_resources import EMPTY_LISTS, AccountResources
from simulator.twin.accounts import Account
from simulator.twin.control import Control
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.lookups import Lookups
from simulator.twin.media import Media
from simulator.twin.media_addresses import OWN
from simulator.twin.numbers_on_sale import KINDS, NumbersOnSale
from simulator.twin.phone_numbers import Numbers
from simulator.twin.representations import divided
from simulator.twin.services import Services
from simulator.twin.sms import Messages
from simulator.twin.usage import UsageRecords
from simulator.twin.world import AccountsWorld

_SID = "[A-Za-z]{2}[0-9a-fA-F]{32}"


class Call(msgspec.Struct):
    """One request, read: the account (None under /twin/), the parameters, the server's own address.

    `extension` is what the address ended in: "", "json", "xml" or "csv".
    """

    account: Account
    form: Form
    origin: str
    body: bytes = b""
    extension: str = "json"


class Elsewhere(msgspec.Struct, frozen=True):
    """An answer that is to be had at another address."""

    url: str


class File(msgspec.Struct, frozen=True):
    """An answer that is a picture, or another file."""

    media_type: str
    content: bytes


Answer = tuple[int, object]  # HTTP status, and what becomes JSON, XML or CSV (None: empty)
Handler = Callable[..., Answer]


class Route(msgspec.Struct, frozen=True):
    """An address without its extension, what one of its resources is called, and who answers which method."""

    path: re.Pattern[str]
    element: str
    handlers: dict[str, Handler]


class Routes:
    """Finds the handler of a request; raises ApiError 20404 or 20004 when there is none."""

    def __init__(self, world: AccountsWorld) -> None:
        self.world = world
        self.accounts = AccountResources(world)
        self.usage = UsageRecords(world)
        self.messages = Messages(world)
        self.media = Media(world, self.messages)
        self.numbers = Numbers(world)
        self.on_sale = NumbersOnSale(world)
        self.lookups = Lookups(world)
        self.services = Services(world, self.numbers)
        self.control = Control(world)
        self._routes = [
            Route(re.compile(path), element, handlers) for path, element, handlers in self._addresses()
        ]
        self._control: dict[tuple[str, str], Handler] = {
            ("GET", "/twin/state"): lambda call: (200, self.control.state()),
            ("GET", "/twin/faults"): lambda call: (200, self.control.faults()),
            ("POST", "/twin/faults"): lambda call: (201, self.control.start_fault(call.body)),
            ("DELETE", "/twin/faults"): lambda call: (200, self.control.heal()),
            ("GET", "/twin/ledger"): lambda call: (200, self.control.ledger()),
            ("POST", "/twin/texts"): self._text,
            **{("GET", path): partial(self._picture, path) for path in OWN},
        }

    def _addresses(self) -> list[tuple[str, str, dict[str, Handler]]]:
        """Every address; the first that fits answers."""
        account = f"/2010-04-01/Accounts/({_SID})"
        number, on_sale = f"{account}/IncomingPhoneNumbers", f"{account}/AvailablePhoneNumbers"
        message, service = f"{account}/Messages", "/v1/Services"
        empty: list[tuple[str, str, dict[str, Handler]]] = [
            (f"{account}/{path}", element, {"GET": partial(self._empty, path)})
            for path, element in EMPTY_LISTS.items()
        ]
        keys: dict[str, Handler] = {"GET": self._key, "POST": self._update_key, "DELETE": self._delete_key}
        return [
            (message, "Message", {"POST": self.create, "GET": self._messages}),
            (
                f"{message}/([^/]+)",
                "Message",
                {"GET": self._fetch, "POST": self._update, "DELETE": self._delete},
            ),
            (f"{message}/([^/]+)/Media", "Media", {"GET": self._media}),
            (
                f"{message}/([^/]+)/Media/([^/]+)",
                "Media",
                {"GET": self._one_media, "DELETE": self._delete_media},
            ),
            (f"{message}/([^/]+)/Feedback", "Feedback", {"POST": self._feedback}),
            (on_sale, "Country", {"GET": self._countries}),
            (f"{on_sale}/US", "Country", {"GET": self._country}),
            (f"{on_sale}/US/({'|'.join(KINDS)})", "AvailablePhoneNumber", {"GET": self._available}),
            (number, "IncomingPhoneNumber", {"POST": self.buy, "GET": self._incoming}),
            (
                f"{number}/(Local|TollFree|Mobile)",
                "IncomingPhoneNumber",
                {"POST": self.buy, "GET": self._incoming},
            ),
            (
                f"{number}/([^/]+)",
                "IncomingPhoneNumber",
                {"GET": self._number, "POST": self._update_number, "DELETE": self._release},
            ),
            (f"{account}/(Keys|SigningKeys)", "Key", {"POST": self._create_key, "GET": self._keys}),
            (f"{account}/(?:Keys|SigningKeys)/([^/]+)", "Key", keys),
            (f"{account}/Balance", "Balance", {"GET": self._balance}),
            (f"{account}/Usage/Records", "UsageRecord", {"GET": self._usage}),
            *empty,
            ("/2010-04-01/Accounts", "Account", {"GET": self._accounts}),
            (account, "Account", {"GET": self._account}),
            (service, "", {"POST": self._create_service, "GET": self._services}),
            (
                f"{service}/([^/]+)",
                "",
                {"GET": self._service, "POST": self._update_service, "DELETE": self._delete_service},
            ),
            (f"{service}/([^/]+)/PhoneNumbers", "", {"POST": self._add_number, "GET": self._pool}),
            (
                f"{service}/([^/]+)/PhoneNumbers/([^/]+)",
                "",
                {"GET": self._pool_number, "DELETE": self._remove_number},
            ),
            ("/v1/PhoneNumbers/([^/]+)", "", {"GET": self._lookup_v1}),
            ("/v2/PhoneNumbers/([^/]+)", "", {"GET": self._lookup}),
        ]

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...], str]:
        """The handler, what it takes from the path, and what a resource is called."""
        bare, _ = divided(path)
        for route in self._routes:
            if found := route.path.fullmatch(bare):
                handler = route.handlers.get(method)
                if handler is None:
                    raise ApiError(20004)
                parts = found.groups()
                return handler, parts[1:] if path.startswith("/2010") else parts, route.element
        raise ApiError(20404, f"The requested resource {path} was not found")

    def find_control(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
        """The same below /twin/."""
        handler = self._control.get((method, path))
        if handler is not None:
            return handler, ()
        if method == "GET" and path.startswith("/twin/ledger/"):
            return self._table, (path.removeprefix("/twin/ledger/"),)
        raise ApiError(20404, f"The requested resource {path} was not found")

    # ------------------------------------------------------------ messages

    def create(self, call: Call) -> Answer:
        """POST Messages.json."""
        return 201, self.messages.create(call.account, call.form)

    def _messages(self, call: Call) -> Answer:
        return 200, self.messages.page(call.account, call.form)

    def _fetch(self, call: Call, sid: str) -> Answer:
        return 200, self.messages.show(self.messages.find(call.account, sid))

    def _update(self, call: Call, sid: str) -> Answer:
        return 200, self.messages.update(call.account, sid, call.form)

    def _delete(self, call: Call, sid: str) -> Answer:
        self.messages.delete(call.account, sid)
        return 204, None

    def _media(self, call: Call, sid: str) -> Answer:
        return 200, self.media.page(call.account, sid, call.form)

    def _one_media(self, call: Call, sid: str, media_sid: str) -> Answer:
        """The resource; without an extension the picture itself, which is where the application said."""
        if not call.extension:
            url = self.media.url(call.account, sid, media_sid)
            return 307, Elsewhere(call.origin + url if url in OWN else url)
        return 200, self.media.fetch(call.account, sid, media_sid)

    def _delete_media(self, call: Call, sid: str, media_sid: str) -> Answer:
        self.media.delete(call.account, sid, media_sid)
        return 204, None

    def _feedback(self, call: Call, sid: str) -> Answer:
        return 200, self.messages.feedback(call.account, sid, call.form)

    # ------------------------------------------------------------ numbers

    def _countries(self, call: Call) -> Answer:
        return 200, self.on_sale.countries(call.account)

    def _country(self, call: Call) -> Answer:
        return 200, self.on_sale.country(call.account)

    def _available(self, call: Call, kind: str) -> Answer:
        return 200, self.on_sale.search(call.account, kind, call.form)

    def buy(self, call: Call, kind: str = "") -> Answer:
        """POST IncomingPhoneNumbers.json, or of one kind: Local, TollFree, Mobile."""
        return 201, self.numbers.buy(call.account, call.form)

    def _incoming(self, call: Call, kind: str = "") -> Answer:
        return 200, self.numbers.page(call.account, call.form, kind)

    def _number(self, call: Call, sid: str) -> Answer:
        return 200, self.numbers.show(call.account, self.numbers.find(call.account, sid))

    def _update_number(self, call: Call, sid: str) -> Answer:
        return 200, self.numbers.update(call.account, sid, call.form)

    def _release(self, call: Call, sid: str) -> Answer:
        self.numbers.release(call.account, sid)
        return 204, None

    def _lookup(self, call: Call, number: str) -> Answer:
        return 200, self.lookups.fetch(unquote(number), call.form)

    def _lookup_v1(self, call: Call, number: str) -> Answer:
        return 200, self.lookups.fetch_v1(unquote(number), call.form)

    # ------------------------------------------------------------ services

    def _create_service(self, call: Call) -> Answer:
        return 201, self.services.create(call.account, call.form, call.origin)

    def _services(self, call: Call) -> Answer:
        return 200, self.services.page(call.account, call.form, call.origin)

    def _service(self, call: Call, sid: str) -> Answer:
        service = self.services.find(call.account, sid)
        return 200, self.services.show(call.account, service, call.origin)

    def _update_service(self, call: Call, sid: str) -> Answer:
        return 200, self.services.update(call.account, sid, call.form, call.origin)

    def _delete_service(self, call: Call, sid: str) -> Answer:
        self.services.delete(call.account, sid)
        return 204, None

    def _add_number(self, call: Call, sid: str) -> Answer:
        return 201, self.services.add_number(call.account, sid, call.form, call.origin)

    def _pool(self, call: Call, sid: str) -> Answer:
        return 200, self.services.numbers_page(call.account, sid, call.form, call.origin)

    def _pool_number(self, call: Call, sid: str, number_sid: str) -> Answer:
        service, number = self.services.find_number(call.account, sid, number_sid)
        return 200, self.services.show_number(call.account, service, number, call.origin)

    def _remove_number(self, call: Call, sid: str, number_sid: str) -> Answer:
        self.services.remove_number(call.account, sid, number_sid)
        return 204, None

    # ------------------------------------------------------------ the account

    def _accounts(self, call: Call) -> Answer:
        return 200, self.accounts.page(call.account, call.form)

    def _account(self, call: Call) -> Answer:
        return 200, self.accounts.show(call.account)

    def _balance(self, call: Call) -> Answer:
        return 200, self.accounts.balance(call.account)

    def _usage(self, call: Call) -> Answer:
        return 200, self.usage.page(call.account, call.form)

    def _empty(self, path: str, call: Call) -> Answer:
        return 200, self.accounts.empty_page(call.account, path, call.form)

    def _create_key(self, call: Call, path: str) -> Answer:
        return 201, self.accounts.create_key(call.account, call.form)

    def _keys(self, call: Call, path: str) -> Answer:
        return 200, self.accounts.keys_page(call.account, path, call.form)

    def _key(self, call: Call, sid: str) -> Answer:
        return 200, self.accounts.show_key(self.accounts.find_key(call.account, sid))

    def _update_key(self, call: Call, sid: str) -> Answer:
        return 200, self.accounts.update_key(call.account, sid, call.form)

    def _delete_key(self, call: Call, sid: str) -> Answer:
        self.accounts.delete_key(call.account, sid)
        return 204, None

    # ------------------------------------------------------------ the twin itself

    def _picture(self, path: str, _call: Call) -> Answer:
        return 200, File(*OWN[path])

    def _text(self, call: Call) -> Answer:
        self.control.text(call.body)
        return 202, None

    def _table(self, call: Call, name: str) -> Answer:
        return 200, self.control.table(name, call.form)
