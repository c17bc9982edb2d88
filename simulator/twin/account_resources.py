"""/2010-04-01/Accounts and what an account has beside messages and numbers: balance, keys, empty lists."""

import msgspec

from simulator.twin.accounts import Account, ApiKey
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.wire import Page, date_2010
from simulator.twin.world import AccountsWorld

OPENING_BALANCE_USD = 1000
EMPTY_LISTS = {
    "Addresses": "Address",
    "Applications": "Application",
    "AuthorizedConnectApps": "AuthorizedConnectApp",
    "Calls": "Call",
    "Conferences": "Conference",
    "ConnectApps": "ConnectApp",
    "Notifications": "Notification",
    "OutgoingCallerIds": "OutgoingCallerId",
    "Queues": "Queue",
    "Recordings": "Recording",
    "SMS/ShortCodes": "ShortCode",
    "Transcriptions": "Transcription",
    "Usage/Triggers": "UsageTrigger",
}
"""Lists in which the twin never has anything, and what one entry is called."""

_SUBRESOURCES = {
    "addresses": "Addresses",
    "applications": "Applications",
    "authorized_connect_apps": "AuthorizedConnectApps",
    "available_phone_numbers": "AvailablePhoneNumbers",
    "balance": "Balance",
    "calls": "Calls",
    "conferences": "Conferences",
    "connect_apps": "ConnectApps",
    "incoming_phone_numbers": "IncomingPhoneNumbers",
    "keys": "Keys",
    "messages": "Messages",
    "notifications": "Notifications",
    "outgoing_caller_ids": "OutgoingCallerIds",
    "queues": "Queues",
    "recordings": "Recordings",
    "short_codes": "SMS/ShortCodes",
    "signing_keys": "SigningKeys",
    "sip": "SIP",
    "transcriptions": "Transcriptions",
    "usage": "Usage",
}
_KEYS = {path: name for name, path in _SUBRESOURCES.items()} | {"Usage/Triggers": "usage_triggers"}


class AccountResources:
    """The accounts and their keys."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    def page(self, account: Account, form: Form) -> dict[str, object]:
        """Accounts.json: the account itself, which has no subaccounts."""
        page = Page(form)
        shown = self.show(account)
        wanted = {"friendly_name": form.optional("FriendlyName"), "status": form.optional("Status")}
        found = [shown] if all(value in (None, shown[name]) for name, value in wanted.items()) else []
        return page.body_2010("/2010-04-01/Accounts.json", "accounts", list(page.of(found)[0]))

    def show(self, account: Account) -> dict[str, object]:
        opened = date_2010(self._world.start_at)
        return {
            "sid": account.sid,
            "friendly_name": "Carrier twin",
            "status": "active",
            "type": "Full",
            "owner_account_sid": account.sid,
            "auth_token": account.token,
            "date_created": opened,
            "date_updated": opened,
            "uri": f"{account.base}.json",
            "subresource_uris": {name: f"{account.base}/{path}.json" for name, path in _SUBRESOURCES.items()},
        }

    def balance(self, account: Account) -> dict[str, object]:
        left_usd = OPENING_BALANCE_USD - self._world.ledger.cost_usd
        return {"account_sid": account.sid, "balance": f"{left_usd:.4f}", "currency": "USD"}

    def empty_page(self, account: Account, path: str, form: Form) -> dict[str, object]:
        """A list of something that the twin has none of."""
        key = _KEYS[path]
        return Page(form).body_2010(f"{account.base}/{path}.json", key, [])

    # ------------------------------------------------------------ keys

    def create_key(self, account: Account, form: Form) -> dict[str, object]:
        """The only answer that has the secret."""
        now = self._world.env.now
        sid = account.make_sid("SK", f"key {len(account.keys)} {now!r}")
        secret = account.make_sid("", f"secret of {sid}, {account.token}")
        key = ApiKey(sid, form.text("FriendlyName"), secret, now, now)
        account.keys[sid] = key
        return {**self.show_key(key), "secret": secret}

    def keys_page(self, account: Account, path: str, form: Form) -> dict[str, object]:
        """`path` is Keys or SigningKeys: the same keys under two names."""
        page = Page(form)
        shown, more = page.of(list(account.keys.values())[::-1])
        rows = [self.show_key(key) for key in shown]
        return page.body_2010(
            f"{account.base}/{path}.json", _key_of(path), rows, more=shown[-1].sid if more else ""
        )

    def find_key(self, account: Account, sid: str) -> ApiKey:
        key = account.keys.get(sid)
        if key is None:
            raise ApiError(20404, f"The requested resource {account.base}/Keys/{sid}.json was not found")
        return key

    def update_key(self, account: Account, sid: str, form: Form) -> dict[str, object]:
        """A new name; the secret stays."""
        key = self.find_key(account, sid)
        name = form.text("FriendlyName", key.friendly_name)
        renamed = msgspec.structs.replace(key, friendly_name=name, updated_at=self._world.env.now)
        account.keys[sid] = renamed
        return self.show_key(renamed)

    def delete_key(self, account: Account, sid: str) -> None:
        self.find_key(account, sid)
        del account.keys[sid]

    def show_key(self, key: ApiKey) -> dict[str, object]:
        start_at = self._world.start_at
        return {
            "sid": key.sid,
            "friendly_name": key.friendly_name,
            "date_created": date_2010(start_at + key.created_at),
            "date_updated": date_2010(start_at + key.updated_at),
        }


def _key_of(path: str) -> str:
    return "keys" if path == "Keys" else "signing_keys"
