"""What came with people's texts: fetched from Twilio when somebody wants to see it, and from nowhere else.

A text's MediaUrl is believed no further than its path: the host is the account's own. Twilio answers with a redirect to
where it keeps media; that is followed to its own hosts alone, over TLS, to public addresses, without our credentials.
"""

import re
from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from gateway.providers.base import AnswerLost, NotSent, Refused
from gateway.providers.outside import PublicOnly
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.wire import Wire, decoded

_KEPT_AT: Final = (".twilio.com", ".twiliocdn.com")
_KEPT_AT_TOO: Final = ("s3-external-1.amazonaws.com", "/media.twiliocdn.com/")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 3
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0, connect=5.0)
_PIECE: Final = 64 * 1024
_GONE: Final = 404


class _Listed(msgspec.Struct):
    sid: str = ""


class _MediaPage(msgspec.Struct):
    media_list: list[_Listed] = []


_page = msgspec.json.Decoder(_MediaPage).decode
_SID = re.compile("[A-Za-z0-9]{1,64}")


class TwilioMedia:
    """Reads with GETs alone; raises ProviderError."""

    def __init__(self, account: Account, wire: Wire) -> None:
        self._account = account
        self._wire = wire
        self._messages = f"/2010-04-01/Accounts/{account.account_sid}/Messages/"
        self._origin = URL(account.api_url).origin()
        self._session: aiohttp.ClientSession | None = None
        self._outside: aiohttp.ClientSession | None = None

    async def fetch(self, provider_sid: str, place: int, url: str, most_bytes: int) -> bytes:
        """One of a text's pictures. Raises Refused when there is none, or it has more bytes; else as the wire does."""
        at = self._origin.join(URL(await self._path(provider_sid, place, url), encoded=True))
        for _ in range(_MOST_REDIRECTS + 1):
            found = await self._ask(at, most_bytes)
            if isinstance(found, bytes):
                return found
            at = found
        raise Refused(text="it is nowhere: one redirect after the other")

    async def _path(self, provider_sid: str, place: int, url: str) -> str:
        """Where the account has it: from its address, or from the text's own list. Raises Refused."""
        path = url and _address(url).raw_path
        if path.startswith(self._messages) and re.fullmatch(
            r"\w+/Media/\w+", path[len(self._messages) :], re.ASCII
        ):
            return path
        if url or not _SID.fullmatch(provider_sid):
            raise Refused(_GONE, "that is no address of the account's media")
        media = f"{self._messages}{provider_sid}/Media"
        page = decoded(_page, await self._wire.get(URL(f"{self._origin}{media}.json", encoded=True)))
        sids = [each.sid for each in page.media_list]
        if not 0 <= place < len(sids) or not _SID.fullmatch(sids[place]):
            raise Refused(_GONE, "the text has no such picture any more")
        return f"{media}/{sids[place]}"

    async def _ask(self, at: URL, most_bytes: int) -> bytes | URL:
        """The file, or where it is; never further than the account's host and Twilio's own."""
        ours = self._origin
        is_ours = (at.scheme, at.host, at.port) == (ours.scheme, ours.host, ours.port)
        session = self._ours() if is_ours else self._theirs(at)
        try:
            async with session.get(at, allow_redirects=False) as response:
                if response.status in _REDIRECTS:
                    return at.join(_address(response.headers.get("Location", "")))
                if response.status >= 500 or response.status == 429:
                    raise AnswerLost(response.status, "the provider can't hand it out now")
                if response.status != 200:
                    raise Refused(response.status, "the provider has it no more")
                return await _bounded(response, most_bytes)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotSent(text=f"no answer ({type(error).__name__})") from None

    def _ours(self) -> aiohttp.ClientSession:
        if self._session is None:
            account = self._account
            credentials = aiohttp.encode_basic_auth(account.user, account.secret)
            self._session = _session(headers={"Authorization": credentials})
        return self._session

    def _theirs(self, at: URL) -> aiohttp.ClientSession:
        """For one of Twilio's hosts. Raises Refused for any other."""
        host, prefix = _KEPT_AT_TOO
        is_kept = (at.host or "").endswith(_KEPT_AT) or (at.host == host and at.raw_path.startswith(prefix))
        if at.scheme != "https" or at.port != 443 or not is_kept:
            raise Refused(text="it is said to be elsewhere than at the provider")
        if self._outside is None:
            self._outside = _session(
                connector=aiohttp.TCPConnector(resolver=PublicOnly((), "https"), use_dns_cache=False)
            )
        return self._outside

    async def close(self) -> None:
        for session in (self._session, self._outside):
            if session is not None:
                await session.close()
        self._session = self._outside = None


def _address(url: str) -> URL:
    """Raises Refused for what can't be one."""
    try:
        if url:
            return URL(url)
    except ValueError:
        pass
    raise Refused(_GONE, "that is no address")


def _session(
    headers: Mapping[str, str] | None = None, connector: aiohttp.BaseConnector | None = None
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=_TIMEOUT,
        headers={"User-Agent": "textbank", **(headers or {})},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # no small answer becomes a large one
    )


async def _bounded(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Raises Refused for more, whatever it says of its length."""
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        content += piece
        if len(content) > most_bytes:
            raise Refused(text=f"it has more than {most_bytes} bytes")
    return bytes(content)
