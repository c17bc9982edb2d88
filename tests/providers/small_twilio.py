"""A Twilio small enough to see through: one account, its numbers and its messages, in Twilio's shapes."""

import json
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.providers.fake_twilio import API, SID, TOKEN
from tests.providers.payloads import classic, for_sale, invalid, lookup, message, number, owned, page

ON_SALE = {"267": ["+12675550142", "+12675550143"]}


class SmallTwilio:
    def __init__(self) -> None:
        self.messages: list[dict[str, object]] = []
        self.numbers: dict[str, dict[str, object]] = {}
        self.sold = 0
        application = web.Application(middlewares=[_authenticated])
        application.add_routes(
            [
                web.get(f"{API}.json", _account),
                web.post(f"{API}/Messages.json", self._create),
                web.get(f"{API}/Messages.json", self._list),
                web.get(API + "/Messages/{sid}.json", self._fetch),
                web.get(f"{API}/AvailablePhoneNumbers/US/Local.json", self._search),
                web.post(f"{API}/IncomingPhoneNumbers.json", self._buy),
                web.get(f"{API}/IncomingPhoneNumbers.json", self._owned),
                web.delete(API + "/IncomingPhoneNumbers/{sid}.json", self._release),
                web.get("/v2/PhoneNumbers/{phone}", _look_up),
            ]
        )
        self.server = TestServer(application)

    async def _create(self, request: web.Request) -> web.Response:
        form = await _form(request)
        if not form["To"].startswith("+") or len(form["To"]) < 11:
            return _refusal(21211)
        if form["From"] not in {each["phone_number"] for each in self.numbers.values()}:
            return _refusal(21606)
        sid = f"SM{len(self.messages):032x}"
        record = message(sid, to=form["To"], from_=form["From"], body=form["Body"])
        self.messages.append(record)
        return web.json_response(record, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = {name.lower(): value for name, value in request.query.items() if name in ("To", "From")}
        found = [each for each in self.messages if wanted.items() <= each.items()]
        return _answer(page(*reversed(found)))

    async def _fetch(self, request: web.Request) -> web.Response:
        found = [each for each in self.messages if each["sid"] == request.match_info["sid"]]
        return web.json_response(found[0]) if found else _refusal(20404, 404)

    async def _search(self, request: web.Request) -> web.Response:
        taken = {each["phone_number"] for each in self.numbers.values()}
        offers = ON_SALE.get(request.query["AreaCode"], [])
        return _answer(for_sale(*[phone for phone in offers if phone not in taken]))

    async def _buy(self, request: web.Request) -> web.Response:
        self.sold += 1
        bought = number(f"PN{self.sold:032x}", (await _form(request))["PhoneNumber"])
        self.numbers[str(bought["sid"])] = bought
        return web.json_response(bought, status=201)

    async def _owned(self, _request: web.Request) -> web.Response:
        return _answer(owned(*self.numbers.values()))

    async def _release(self, request: web.Request) -> web.Response:
        released = self.numbers.pop(request.match_info["sid"], None)
        return web.Response(status=204) if released else _refusal(20404, 404)


async def _account(_request: web.Request) -> web.Response:
    return _answer(json.dumps({"sid": SID, "status": "active", "type": "Full"}))


async def _look_up(request: web.Request) -> web.Response:
    phone = request.match_info["phone"]
    return _answer(lookup(phone, "mobile", "Verizon Wireless") if len(phone) == 12 else invalid(phone))


@web.middleware
async def _authenticated(request: web.Request, handler: object) -> web.StreamResponse:
    given = b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    if given != f"{SID}:{TOKEN}":
        return _refusal(20003, 401)
    return await handler(request)  # type: ignore[operator, no-any-return]


async def _form(request: web.Request) -> Mapping[str, str]:
    return dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))


def _refusal(code: int, status: int = 400) -> web.Response:
    return _answer(classic(code, status), status)


def _answer(body: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=body, content_type="application/json")
