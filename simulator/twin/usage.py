"""/2010-04-01/Accounts/{AC}/Usage/Records: what an account has used, since the market opened."""

from simulator.twin.accounts import Account, Traffic
from simulator.twin.forms import Form
from simulator.twin.wire import Page, date_v1
from simulator.twin.world import API_VERSION, AccountsWorld

_DESCRIPTIONS = {
    "sms": "SMS",
    "sms-inbound": "Inbound SMS",
    "sms-outbound": "Outbound SMS",
    "totalprice": "Total Price",
}
_DAY = 10  # characters of a date's day


class UsageRecords:
    """Messages and Twilio's own price of them; whatever dates are asked for, all of the time."""

    def __init__(self, world: AccountsWorld) -> None:
        self._world = world

    def page(self, account: Account, form: Form) -> dict[str, object]:
        """Records.json, of one category or of all."""
        page = Page(form)
        both = Traffic(
            account.sent.messages + account.received.messages,
            account.sent.segments + account.received.segments,
        )
        used = {
            "sms": both,
            "sms-inbound": account.received,
            "sms-outbound": account.sent,
            "totalprice": both,
        }
        asked = form.optional("Category")
        rows = [
            self._record(account, category, traffic)
            for category, traffic in used.items()
            if asked in (None, category)
        ]
        shown, more = page.of(rows)
        path = f"{account.base}/Usage/Records.json"
        return page.body_2010(path, "usage_records", list(shown), more="PA" if more else "")

    def _record(self, account: Account, category: str, traffic: Traffic) -> dict[str, object]:
        world = self._world
        price_usd = f"{traffic.segments * world.scenario.carriers.base_usd:.5f}"
        is_price = category == "totalprice"
        now = date_v1(world.start_at + world.env.now)
        return {
            "account_sid": account.sid,
            "api_version": API_VERSION,
            "as_of": now.replace("Z", "+00:00"),
            "category": category,
            "description": _DESCRIPTIONS[category],
            "start_date": date_v1(world.start_at)[:_DAY],
            "end_date": now[:_DAY],
            "count": "" if is_price else str(traffic.messages),
            "count_unit": "" if is_price else "messages",
            "usage": price_usd if is_price else str(traffic.segments),
            "usage_unit": "usd" if is_price else "segments",
            "price": price_usd,
            "price_unit": "usd",
            "subresource_uris": {},
            "uri": f"{account.base}/Usage/Records.json?Category={category}",
        }
