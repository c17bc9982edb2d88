"""Twilio's REST API in front of the carriers' market, in real or scaled time: the carrier server.

Signs and formats by itself and knows nothing of the gateway, so that it is a second witness. Model code runs only
inside `pump.act`.
"""

import asyncio
import errno
import logging
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Sequence
from contextlib import suppress
from hmac import compare_digest
from importlib.resources import files
from os import strerror

import msgspec
from aiohttp import ClientError, web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from simulator.model.draws import Lognormal
from simulator.model.faults import Answer
from simulator.model.inventory import is_area_code
from simulator.model.scenario import BadScenario, Scenario
from simulator.twin.accounts import Account, default_accounts, test_account
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.memory import give_back_large_blocks
from simulator.twin.metrics import CarrierMetrics
from simulator.twin.representations import content_type, divided, form_of, written, written_error
from simulator.twin.routes import Call, Elsewhere, File, Handler, Routes
from simulator.twin.webhook_request import HOME_REGION
from simulator.twin.wire import phone_of
from simulator.twin.world import AccountsWorld

logger = logging.getLogger("textbank.carrier")

_CHALLENGE = 'Basic realm="Twilio API"'
_HANG_S = 60.0  # real seconds for which an answer that never comes keeps its connection
_LISTENS_S = 0.25  # how often it is seen whether the client is still there


class ServerOptions(msgspec.Struct, frozen=True):
    """How the server behaves beside its scenario; times in seconds."""

    speed: float = 1.0
    seed: int = 1
    contacts: int | None = None  # people of the scenario's list; None: as many as it says
    concurrency: int = 100  # open requests per account; more are refused with 429 and 20429
    answer_latency: bool = False  # answer as slowly as the scenario's provider does
    numbers: tuple[str, ...] = ()  # E.164, owned by the first account from the start


class TwilioServer:
    """A carrier market behind Twilio's API: `start`, then `url`, then `stop`."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        start_at: float,
        accounts: Sequence[Account] = (),
        options: ServerOptions | None = None,
    ) -> None:
        self.options = options or ServerOptions()
        self.accounts = [*(accounts or default_accounts()), test_account()]
        self.port = 0
        self.world: AccountsWorld
        self._scenario = scenario
        self._start_at = start_at
        self._by_sid = {account.sid: account for account in self.accounts}
        self._known: dict[str, tuple[Account, str]] = {}
        self._takes = Lognormal(scenario.carriers.answer_median_s, scenario.carriers.answer_p99_s)
        self._requests = 0
        self._creates = 0
        self._runner: web.ServerRunner | None = None
        self._closing = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the market and listen; port 0 takes any. Raises BadScenario when the port is taken."""
        give_back_large_blocks()
        options = self.options
        self._loop = asyncio.get_running_loop()
        contacts = self._scenario.contacts if options.contacts is None else options.contacts
        self.world = AccountsWorld(
            self._scenario,
            self.accounts,
            self._loop,
            start_at=self._start_at,
            contacts=contacts,
            seed=options.seed,
            speed=options.speed,
        )
        self._luck = self.world.draws.stream("provider/answer")
        self._bring_numbers()
        self._routes = Routes(self.world)
        self._metrics = CarrierMetrics(self.world)
        self._page = (files("simulator.twin") / "carrier.html").read_bytes()
        self._host = host
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1.0)
        await self._runner.setup()
        await self._listen(host, port)
        self.world.pump.start()

    async def _listen(self, host: str, port: int) -> None:
        assert self._runner is not None
        try:
            await web.TCPSite(self._runner, host, port, backlog=1024, reuse_address=True).start()
        except OSError as error:
            await self.stop()
            raise _cannot_listen(error, host, port) from error
        self.port = self._runner.addresses[0][1]
        self.world.origin = self.url

    def _bring_numbers(self) -> None:
        for text in self.options.numbers:
            phone = phone_of(text)
            if phone is None or phone // 10**10 != 1 or not is_area_code(str(phone)[1:4]):
                raise BadScenario("not a US number", f"--number {text}", "give E.164, such as +12155550100")
            self.world.own(self.accounts[0], phone)

    async def stop(self) -> None:
        """Stop listening, give up what is on its way."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
        self.world.pump.stop()
        await self.world.callbacks.close()

    # ------------------------------------------------------------ a request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        try:
            if path.startswith("/twin/"):
                return await self._control(request, path, query)
            if path == "/" and request.method == "GET":
                return web.Response(body=self._page, content_type="text/html", charset="utf-8")
            account = self._authenticated(request.headers.get("Authorization", ""))
        except ApiError as error:
            return _refused(error, path)
        return await self._api(request, account, path, query)

    async def _control(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if (request.method, path) == ("GET", "/twin/metrics"):
            text = self.world.pump.act(self._metrics.exposition)
            return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
        body = await request.read() if request.method == "POST" else b""
        handler, parts = self._routes.find_control(request.method, path)
        call = Call(self.accounts[0], Form(query), "", body)
        status, answer = self.world.pump.act(handler, call, *parts)
        return _response(status, answer, "/twin/", "")

    async def _api(
        self, request: web.BaseRequest, account: Account, path: str, query: str
    ) -> web.StreamResponse:
        began_at = self._loop.time()
        self._requests += 1
        nth = self._requests
        account.open_requests += 1
        open_requests = account.open_requests
        try:
            if open_requests > self.options.concurrency:
                raise ApiError(20429)
            response = await self._answer(request, account, path, query)
        except ApiError as error:
            response = _refused(error, path)
        except web.HTTPRequestEntityTooLarge:
            response = _refused(ApiError(20422, "The request is too large"), path)
        except ClientError:  # gone while it was still talking
            response = _cut(request)
        except Exception:  # a defect must not take the market down
            logger.exception("a request failed: %s %s", request.method, path)
            response = _refused(ApiError(20500), path)
        finally:
            account.open_requests -= 1
        headers = response.headers
        headers["Twilio-Concurrent-Requests"] = str(open_requests)
        headers["Twilio-Request-Id"] = f"RQ{nth:032x}"
        headers["Twilio-Request-Duration"] = f"{self._loop.time() - began_at:.3f}"
        headers["X-Home-Region"] = HOME_REGION
        headers["X-API-Domain"] = _domain(path)
        return response

    async def _answer(
        self, request: web.BaseRequest, account: Account, path: str, query: str
    ) -> web.Response:
        method = request.method
        form = await _form(request, query)
        self._perhaps_cut(request)
        call = Call(account, form, f"{request.scheme}://{request.host}", extension=divided(path)[1])
        if method == "POST" and path == account.messages_path:
            return _response(*await self._create(request, call), path, "Message")
        handler, parts, element = self._route(method, path, account)
        if handler == self._routes.buy:
            self._routes.numbers.check_purchase(account, form, *parts)
            if not account.is_test:
                await asyncio.sleep(self._scenario.inventory.purchase_lag_s / self.options.speed)
        if handler == self._routes.create:
            return _response(*await self._create(request, call), path, element)
        return _response(*self.world.pump.act(handler, call, *parts), path, element)

    def _route(self, method: str, path: str, account: Account) -> tuple[Handler, tuple[str, ...], str]:
        handler, parts, element = self._routes.find(method, path)
        is_own = path.startswith(account.base) or divided(path)[0] == "/2010-04-01/Accounts"
        if path.startswith("/2010") and not is_own:
            raise ApiError(20404, f"The requested resource {path} was not found")
        if account.is_test and handler not in (self._routes.buy, self._routes.create):
            raise ApiError(20008)
        return handler, parts, element

    async def _create(self, request: web.BaseRequest, call: Call) -> tuple[int, object]:
        """A create call, its answer as the faults have it."""
        nth = self._creates
        self._creates += 1
        if self.options.answer_latency:
            await asyncio.sleep(self._takes.at(self._luck(nth)) / self.options.speed)
        fate = self.world.faults.answer(nth)
        if fate is Answer.GOOD:
            return self.world.pump.act(self._routes.create, call)
        if fate is Answer.THROTTLED:
            raise ApiError(20429)
        if fate.processed:
            self.world.pump.act(self._routes.create, call)
        if fate in (Answer.ERROR_AFTER, Answer.ERROR_BEFORE):
            raise ApiError(20500)
        await self._hang(request)
        raise ApiError(20500)

    async def _hang(self, request: web.BaseRequest) -> None:
        """No answer for as long as the client listens; in the end the connection is cut."""
        until = self._loop.time() + _HANG_S
        while _is_there(request) and not self._closing.is_set() and self._loop.time() < until:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _LISTENS_S)
        _cut(request)

    def _perhaps_cut(self, request: web.BaseRequest) -> None:
        """In an outage connections break before anything is done."""
        if self.world.faults.refuses(self.world.pump.now):
            _cut(request)
            raise ApiError(20503, "Service Unavailable")

    # ------------------------------------------------------------ who asks

    def _authenticated(self, header: str) -> Account:
        known = self._known.get(header)
        if known is None:
            known = self._credentials(header)
            self._known[header] = known
        account, key_sid = known
        if key_sid and key_sid not in account.keys:
            del self._known[header]
            raise ApiError(20003)
        return account

    def _credentials(self, header: str) -> tuple[Account, str]:
        """The account behind Basic credentials, and the API key if it is one. Raises ApiError 20003."""
        scheme, _, encoded = header.partition(" ")
        try:
            user, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except (NotBase64, ValueError):
            raise ApiError(20003) from None
        if scheme.lower() == "basic":
            account = self._by_sid.get(user)
            if account is not None and compare_digest(account.token.encode(), secret.encode()):
                return account, ""
            for holder in self.accounts:
                key = holder.keys.get(user)
                if key is not None and compare_digest(key.secret.encode(), secret.encode()):
                    return holder, user
        raise ApiError(20003)


def _domain(path: str) -> str:
    """Whose address this would be at Twilio."""
    if path.startswith("/v1/Services"):
        return "messaging.twilio.com"
    return "lookups.twilio.com" if "/PhoneNumbers/" in path[:17] else "api.twilio.com"


async def _form(request: web.BaseRequest, query: str) -> Form:
    """The parameters: of the body by POST, whichever way it is encoded, else of the address."""
    if request.method != "POST":
        return Form(query)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.content_type == "multipart/form-data":
        try:
            parts = await request.post()
        except (ValueError, KeyError, AssertionError) as error:
            raise ApiError(20422, "The body is not multipart/form-data") from error
        return Form.of_parts([(name, value) for name, value in parts.items() if isinstance(value, str)])
    try:
        return Form((await request.read()).decode())
    except UnicodeDecodeError as error:
        raise ApiError(20422, "The body is not UTF-8") from error


def _cannot_listen(error: OSError, host: str, port: int) -> BadScenario:
    if error.errno == errno.EADDRINUSE:
        return BadScenario(f"port {port} is in use", f"--port on {host}", "give another port")
    number = error.errno or 0  # below 0 for an unknown host, which has words of its own
    reason = strerror(number) if number > 0 else error.strerror or str(error)
    if number == errno.EACCES:
        return BadScenario(f"can't listen at port {port} ({reason})", "--port", "give one above 1023")
    return BadScenario(f"can't listen at {host} ({reason})", "--host", "give an address of this machine")


def _response(status: int, answer: object, path: str, element: str) -> web.Response:
    if isinstance(answer, Elsewhere):
        return web.Response(status=status, headers={"Location": answer.url})
    if isinstance(answer, File):
        return web.Response(body=answer.content, status=status, content_type=answer.media_type)
    if not isinstance(answer, dict):
        return web.Response(status=status)
    form = form_of(path) if element else "json"
    body = written(answer, element, form)
    return web.Response(body=body, status=status, content_type=content_type(form))


def _refused(error: ApiError, path: str) -> web.Response:
    form = form_of(path)
    headers = {"WWW-Authenticate": _CHALLENGE} if error.status == 401 else None
    body = written_error(error.body(), form)
    return web.Response(body=body, status=error.status, content_type=content_type(form), headers=headers)


def _is_there(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
