"""What goes over the wire, in both directions: phones, addresses, dates, pages, segments. No state."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from simulator.twin.errors import ApiError
from simulator.twin.forms import Form

Item = TypeVar("Item")

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_US = re.compile("1[0-9]{10}")
_WRITTEN = re.compile(r"[\s().-]")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]")
_LARGEST_PAGE = 1000

_AMERICAN = re.compile(r"(0[1-9]|1[0-2])/([0-9]{2})/([0-9]{4}(?: [0-9:]{5,8}(?: \S+)?)?)")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# GSM 03.38: the basic alphabet, and what takes an escape.
_GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TEXT = re.compile(f"[{re.escape(_GSM)}]*")
_GSM_OR_ESCAPED = re.compile(f"[{re.escape(_GSM)}\f^{{}}\\\\[~\\]|€]*")
_ESCAPED = re.compile(r"[\f^{}\\\[~\]|€]")
# The commonest of what a service with SmartEncoding replaces.
_SMART = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-",
        "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "\u00a0": " ", "\u2002": " ", "\u2003": " ",
        "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "•": "-", "´": "'", "`": "'", "\t": " ",
    }
)  # fmt: skip


def phone_of(text: str) -> int | None:
    """+12155550123 as a number; None for anything else but E.164."""
    return int(text[1:]) if _E164.fullmatch(text) else None


def dialled(text: str) -> int | None:
    """A phone as Twilio takes it in a request: E.164, or a US number as people write it, without the plus."""
    return phone_of(text) or _as_written(text)


def _as_written(text: str) -> int | None:
    bare = _WRITTEN.sub("", text)
    if not bare.startswith("+"):
        bare = f"+1{bare}" if len(bare) == 10 else f"+{bare}" if _US.fullmatch(bare) else ""
    return phone_of(bare)


def is_url(text: str) -> bool:
    """An absolute URL whose host name Twilio would call: ASCII, no blank, no underscore."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    return _is_base(text.partition("?")[0].partition("#")[0])


@lru_cache(maxsize=4096)
def _is_base(text: str) -> bool:
    """Of a URL without query and fragment, which differ from message to message."""
    try:
        parts = urlsplit(text)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        return False
    host = parts.netloc.rpartition("@")[2].rpartition(":")[0] or parts.netloc.rpartition("@")[2]
    return parts.scheme in {"http", "https"} and bool(_HOST.fullmatch(host)) and port_is_one


def smart(body: str) -> str:
    """Typographic characters replaced by their plain forms."""
    return body if body.isascii() else body.translate(_SMART)


@lru_cache(maxsize=4096)
def segments(body: str) -> int:
    """Segments of an outbound text: 160/153 septets of GSM 03.38, or 70/67 units of UTF-16."""
    if _GSM_TEXT.fullmatch(body):
        units, single, part = len(body), 160, 153
    elif _GSM_OR_ESCAPED.fullmatch(body):
        units, single, part = len(body) + len(_ESCAPED.findall(body)), 160, 153
    else:
        units, single, part = len(body.encode("utf-16-le", "surrogatepass")) // 2, 70, 67
    return 1 if units <= single else -(-units // part)


@lru_cache(maxsize=1024)
def _rfc2822(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def date_2010(at: float) -> str:
    """`Thu, 24 Aug 2023 05:01:45 +0000` of Unix seconds."""
    return _rfc2822(int(at))


def date_v1(at: float) -> str:
    """`2015-07-30T20:12:31Z` of Unix seconds."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str, *, code: int = 20422) -> tuple[float, bool]:
    """Unix seconds of an ISO 8601 day or instant, UTC unless it says otherwise; whether it is a whole day."""
    try:
        found = datetime.fromisoformat(text)
        at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise ApiError(code, f"Invalid date: {text}") from error
    return at, len(text) == 10


def day_or_instant(text: str) -> tuple[float, bool]:
    """The same of a filter, which Twilio also takes as RFC 2822 or as `06/11/2019 22:05:25 MST`."""
    try:
        return instant(text)
    except ApiError:
        american = _AMERICAN.fullmatch(text)
        written = f"{american[2]} {_MONTHS[int(american[1])]} {american[3]}" if american else text
        try:
            found = parsedate_to_datetime(written)
        except (ValueError, OverflowError):
            raise ApiError(20422, f"Invalid date: {text}") from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), False


def period(form: Form, name: str) -> tuple[float, float]:
    """From when until when, in Unix seconds, of a filter and its `<` and `>`: days or instants."""
    after, before = float("-inf"), float("inf")
    if day := form.text(name):
        at, whole = day_or_instant(day)
        after, before = at, at + (86_400 if whole else 1)
    if least := form.text(f"{name}>"):
        after = max(after, day_or_instant(least)[0])
    if most := form.text(f"{name}<"):
        at, whole = day_or_instant(most)
        before = min(before, at + (86_400 if whole else 1))
    return after, before


def display(phone: int) -> str:
    """(808) 925-5327."""
    text = f"{phone:011d}"
    return f"({text[1:4]}) {text[4:7]}-{text[7:]}"


class Page:
    """Which part of a list is asked for."""

    __slots__ = ("form", "number", "size", "token")

    def __init__(self, form: Form) -> None:
        self.form = form
        self.size = form.whole("PageSize", 50) or 50
        if self.size > _LARGEST_PAGE:
            raise ApiError(20007)
        self.number = form.whole("Page", 0)
        self.token = form.text("PageToken")

    def of(self, items: Sequence[Item]) -> tuple[Sequence[Item], bool]:
        """The items of the page, and whether there are more."""
        start = self.number * self.size
        return items[start : start + self.size], len(items) > start + self.size

    def url(self, path: str, number: int, token: str = "") -> str:
        """The address of another page of the same question."""
        query = [(name, value) for name, value in self.form.pairs if name not in _PAGING]
        query += [("PageSize", str(self.size)), ("Page", str(number))]
        if token:
            query.append(("PageToken", token))
        return f"{path}?{urlencode(query)}"

    def body_2010(
        self, path: str, key: str, shown: list[dict[str, object]], *, more: str = ""
    ) -> dict[str, object]:
        """A list as of 2010-04-01; `more` is the token of the next page, empty on the last."""
        start = self.number * self.size if shown else 0
        return {
            key: shown,
            "page": self.number,
            "page_size": self.size,
            "start": start,
            "end": start + max(0, len(shown) - 1),
            "uri": self.url(path, self.number, self.token),
            "first_page_uri": self.url(path, 0),
            "next_page_uri": self.url(path, self.number + 1, more) if more else None,
            "previous_page_uri": self.url(path, self.number - 1) if self.number else None,
        }

    def body_v1(self, url: str, key: str, shown: list[dict[str, object]], *, more: bool) -> dict[str, object]:
        """A list of the v1 products, with absolute URLs."""
        return {
            key: shown,
            "meta": {
                "page": self.number,
                "page_size": self.size,
                "first_page_url": self.url(url, 0),
                "previous_page_url": self.url(url, self.number - 1) if self.number else None,
                "next_page_url": self.url(url, self.number + 1) if more else None,
                "url": self.url(url, self.number),
                "key": key,
            },
        }


_PAGING = frozenset({"Page", "PageSize", "PageToken"})
