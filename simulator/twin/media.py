"""/2010-04-01/Accounts/{AC}/Messages/{SM}/Media: the pictures of a message. Nothing is ever fetched."""

import mimetypes
from urllib.parse import urlsplit

from simulator.twin.accounts import Account, Message
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.sms import Messages
from simulator.twin.wire import Page, date_2010, period
from simulator.twin.world import AccountsWorld

_DELETED = ""  # keeps the place of a picture, so that the others keep their sids


class Media:
    """The media of every message."""

    def __init__(self, world: AccountsWorld, messages: Messages) -> None:
        self._world = world
        self._messages = messages

    def page(self, account: Account, sid: str, form: Form) -> dict[str, object]:
        """Those of one message; all were made with it, which is what a filter by date sees."""
        page = Page(form)
        message = self._messages.find(account, sid)
        after, before = period(form, "DateCreated")
        wanted = after <= self._world.start_at + message.created_at < before
        found = [self._show(message, media_sid, url) for media_sid, url in _named(message)] if wanted else []
        shown, more = page.of(found)
        path = f"{account.base}/Messages/{sid}/Media.json"
        return page.body_2010(path, "media_list", list(shown), more=str(shown[-1]["sid"]) if more else "")

    def fetch(self, account: Account, sid: str, media_sid: str) -> dict[str, object]:
        message = self._messages.find(account, sid)
        return self._show(message, media_sid, self.url(account, sid, media_sid))

    def url(self, account: Account, sid: str, media_sid: str) -> str:
        """Where the picture itself is: where the application said."""
        found = dict(_named(self._messages.find(account, sid))).get(media_sid)
        if found is None:
            raise ApiError(20404)
        return found

    def delete(self, account: Account, sid: str, media_sid: str) -> None:
        message = self._messages.find(account, sid)
        gone = self.url(account, sid, media_sid)
        message.media = tuple(
            _DELETED if url == gone and _sid(message, nth, url) == media_sid else url
            for nth, url in enumerate(message.media)
        )
        account.messages.keep(message)

    def _show(self, message: Message, media_sid: str, url: str) -> dict[str, object]:
        created = date_2010(self._world.start_at + message.created_at)
        return {
            "sid": media_sid,
            "account_sid": message.account.sid,
            "parent_sid": message.sid,
            "content_type": _content_type(url),
            "date_created": created,
            "date_updated": created,
            "uri": f"{message.account.base}/Messages/{message.sid}/Media/{media_sid}.json",
        }


def _sid(message: Message, nth: int, url: str) -> str:
    return message.account.make_sid("ME", f"{message.sid} {nth} {url}")


def _named(message: Message) -> list[tuple[str, str]]:
    """(sid, address) of the pictures that are still there."""
    return [(_sid(message, nth, url), url) for nth, url in enumerate(message.media) if url != _DELETED]


def _content_type(url: str) -> str:
    """As the end of the URL's path says."""
    return mimetypes.guess_type(urlsplit(url).path)[0] or "image/jpeg"
