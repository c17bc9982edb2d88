"""Which address is answered by whom. Handlers run inside the model, at its present moment."""

import re
from collections.abc import Callable
from urllib.parse import unquote

import msgspec

from simulator.twin.accounts import Account, ApiKey
from simulator.twin.control import Control
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.lookups import Lookups
from simulator.twin.numbers_on_sale import NumbersOnSale
from simulator.twin.phone_numbers import Numbers
from simulator.twin.services import Services
from simulator.twin.sms import Messages
from simulator.twin.wire import Page, date_2010
from simulator.twin.world import AccountsWorld

_SID = "[A-Za-z]{2}[0-9a-fA-F]{32}"


class Call(msgspec.Struct):
    """One request, read: the account (None under /twin/), the parameters, the server's own address."""

    account: Account
    form: Form
    origin: str
    body: bytes = b""


Answer = tuple[int, object]  # HTTP status, and what becomes JSON (None: empty)
Handler = Callable[..., Answer]


class Routes:
    """Finds the handler of a request; raises ApiError 20404 or 20004 when there is none."""

    def __init__(self, world: AccountsWorld) -> None:
        self.world = world
        self.messages = Messages(world)
        self.numbers = Numbers(world)
        self.on_sale = NumbersOnSale(world)
        self.lookups = Lookups(world)
        self.services = Services(world, self.numbers)
        self.control = Control(world)
        account = f"/2010-04-01/Accounts/({_SID})"
        self._routes: list[tuple[re.Pattern[str], dict[str, Handler]]] = [
            (re.compile(path + r"(?:\.json)?"), handlers)
            for path, handlers in (
                (f"{account}/Messages", {"POST": self.create, "GET": self._messages}),
                (
                    f"{account}/Messages/([^/]+?)",
                    {"GET": self._fetch, "POST": self._update, "DELETE": self._delete},
                ),
                (f"{account}/Messages/([^/]+?)/Media", {"GET": self._media}),
                (f"{account}/Messages/([^/]+?)/Media/([^/]+?)", {"GET": self._one_media}),
                (f"{account}/Messages/([^/]+?)/Feedback", {"POST": self._feedback}),
                (f"{account}/AvailablePhoneNumbers/US/(Local|TollFree|Mobile)", {"GET": self._available}),
                (f"{account}/IncomingPhoneNumbers", {"POST": self.buy, "GET": self._incoming}),
                (
                    f"{account}/IncomingPhoneNumbers/([^/]+?)",
                    {"GET": self._number, "POST": self._update_number, "DELETE": self._release},
                ),
                (f"{account}/Keys", {"POST": self._create_key, "GET": self._keys}),
                (f"{account}/Keys/([^/]+?)", {"DELETE": self._delete_key}),
                (f"{account}/Balance", {"GET": self._balance}),
                (account, {"GET": self._account}),
                (r"/v1/Services", {"POST": self._create_service, "GET": self._services}),
                (
                    r"/v1/Services/([^/]+?)",
                    {"GET": self._service, "POST": self._update_service, "DELETE": self._delete_service},
                ),
                (r"/v1/Services/([^/]+?)/PhoneNumbers", {"POST": self._add_number, "GET": self._pool}),
                (
                    r"/v1/Services/([^/]+?)/PhoneNumbers/([^/]+?)",
                    {"GET": self._pool_number, "DELETE": self._remove_number},
                ),
                (r"/v2/PhoneNumbers/([^/]+?)", {"GET": self._lookup}),
            )
        ]
        self._control: dict[tuple[str, str], Handler] = {
            ("GET", "/twin/state"): lambda call: (200, self.control.state()),
            ("GET", "/twin/faults"): lambda call: (200, self.control.faults()),
            ("POST", "/twin/faults"): lambda call: (201, self.control.start_fault(call.body)),
            ("DELETE", "/twin/faults"): lambda call: (200, self.control.heal()),
            ("GET", "/twin/ledger"): lambda call: (200, self.control.ledger()),
            ("POST", "/twin/texts"): self._text,
        }

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
        """The handler, and what it takes from the path."""
        for pattern, handlers in self._routes:
            if found := pattern.fullmatch(path):
                handler = handlers.get(method)
                if handler is None:
                    raise ApiError(20004)
                parts = found.groups()
                return handler, parts[1:] if path.startswith("/2010") else parts
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
        page = Page(call.form)
        shown, more = page.of(self.messages.media(call.account, sid))
        path = f"{call.account.base}/Messages/{sid}/Media.json"
        return 200, page.body_2010(
            path, "media_list", list(shown), more=str(shown[-1]["sid"]) if more else ""
        )

    def _one_media(self, call: Call, sid: str, media_sid: str) -> Answer:
        for media in self.messages.media(call.account, sid):
            if media["sid"] == media_sid:
                return 200, media
        raise ApiError(20404)

    def _feedback(self, call: Call, sid: str) -> Answer:
        return 201, self.messages.feedback(call.account, sid, call.form)

    # ------------------------------------------------------------ numbers

    def _available(self, call: Call, kind: str) -> Answer:
        return 200, self.on_sale.search(call.account, kind, call.form)

    def buy(self, call: Call) -> Answer:
        """POST IncomingPhoneNumbers.json."""
        return 201, self.numbers.buy(call.account, call.form)

    def _incoming(self, call: Call) -> Answer:
        return 200, self.numbers.page(call.account, call.form)

    def _number(self, call: Call, sid: str) -> Answer:
        return 200, self.numbers.show(call.account, self.numbers.find(call.account, sid))

    def _update_number(self, call: Call, sid: str) -> Answer:
        return 200, self.numbers.update(call.account, sid, call.form)

    def _release(self, call: Call, sid: str) -> Answer:
        self.numbers.release(call.account, sid)
        return 204, None

    def _lookup(self, call: Call, number: str) -> Answer:
        return 200, self.lookups.fetch(unquote(number), call.form)

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

    def _account(self, call: Call) -> Answer:
        account, opened = call.account, date_2010(self.world.start_at)
        return 200, {
            "sid": account.sid,
            "friendly_name": "Carrier twin",
            "status": "active",
            "type": "Full",
            "owner_account_sid": account.sid,
            "auth_token": account.token,
            "date_created": opened,
            "date_updated": opened,
            "uri": f"{account.base}.json",
            "subresource_uris": {
                name.lower(): f"{account.base}/{name}.json" for name in ("Messages", "Keys", "Balance")
            },
        }

    def _balance(self, call: Call) -> Answer:
        spent = self.world.ledger.cost_usd
        return 200, {"account_sid": call.account.sid, "balance": f"{1000 - spent:.4f}", "currency": "USD"}

    def _create_key(self, call: Call) -> Answer:
        account = call.account
        sid = account.make_sid("SK", f"key {len(account.keys)} {self.world.env.now!r}")
        secret = account.make_sid("", f"secret of {sid}, {account.token}")
        key = ApiKey(sid, call.form.text("FriendlyName"), secret, self.world.env.now)
        account.keys[sid] = key
        return 201, {**self._show_key(key), "secret": secret}

    def _keys(self, call: Call) -> Answer:
        page = Page(call.form)
        shown, more = page.of(list(call.account.keys.values())[::-1])
        rows = [self._show_key(key) for key in shown]
        return 200, page.body_2010(
            f"{call.account.base}/Keys.json", "keys", rows, more=shown[-1].sid if more else ""
        )

    def _delete_key(self, call: Call, sid: str) -> Answer:
        if call.account.keys.pop(sid, None) is None:
            raise ApiError(20404)
        return 204, None

    def _show_key(self, key: ApiKey) -> dict[str, object]:
        created = date_2010(self.world.start_at + key.created_at)
        return {
            "sid": key.sid,
            "friendly_name": key.friendly_name,
            "date_created": created,
            "date_updated": created,
        }

    # ------------------------------------------------------------ the twin itself

    def _text(self, call: Call) -> Answer:
        self.control.text(call.body)
        return 202, None

    def _table(self, call: Call, name: str) -> Answer:
        return 200, self.control.table(name, call.form)
