"""/2010-04-01/Accounts/{AC}/Messages/{SM}/Media: the pictures of a message. Nothing is ever fetched."""

from simulator.twin.accounts import Account, Message
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.media_addresses import DELETED, content_type_of, named, sid_of_media
from simulator.twin.sms import Messages
from simulator.twin.wire import Page, date_2010, period
from simulator.twin.world import AccountsWorld


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
        found = [self._show(message, media_sid, url) for media_sid, url in named(message)] if wanted else []
        shown, more = page.of(found)
        path = f"{account.base}/Messages/{sid}/Media.json"
        return page.body_2010(path, "media_list", list(shown), more=str(shown[-1]["sid"]) if more else "")

    def fetch(self, account: Account, sid: str, media_sid: str) -> dict[str, object]:
        message = self._messages.find(account, sid)
        return self._show(message, media_sid, self.url(account, sid, media_sid))

    def url(self, account: Account, sid: str, media_sid: str) -> str:
        """Where the picture itself is: where the application said, or here."""
        found = dict(named(self._messages.find(account, sid))).get(media_sid)
        if found is None:
            raise ApiError(20404)
        return found

    def delete(self, account: Account, sid: str, media_sid: str) -> None:
        message = self._messages.find(account, sid)
        gone = self.url(account, sid, media_sid)
        message.media = tuple(
            DELETED if url == gone and sid_of_media(message, nth, url) == media_sid else url
            for nth, url in enumerate(message.media)
        )
        account.messages.keep(message)

    def _show(self, message: Message, media_sid: str, url: str) -> dict[str, object]:
        created = date_2010(self._world.start_at + message.created_at)
        return {
            "sid": media_sid,
            "account_sid": message.account.sid,
            "parent_sid": message.sid,
            "content_type": content_type_of(url),
            "date_created": created,
            "date_updated": created,
            "uri": f"{message.account.base}/Messages/{message.sid}/Media/{media_sid}.json",
        }
