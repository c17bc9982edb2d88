"""/2010-04-01/Accounts/{AC}/Usage/Records: what an account has used, since the market opened."""

from simulator.twin.accounts import Account, Traffic
from simulator.twin.forms import Form
from simulator.twin.wire import Page, date_v1
from simulator.twin.world import API_VERSION, AccountsWorld

_DESCRIPTIONS = {
    "mms": "MMS",
    "mms-outbound": "Outbound MMS",
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
        prices = self._world.scenario.carriers
        out_usd, in_usd, pictures_usd = (
            traffic.segments * price_usd
            for traffic, price_usd in (
                (account.sent, prices.base_usd),
                (account.received, prices.base_usd),
                (account.sent_pictures, prices.base_mms_usd),
            )
        )
        texts = account.sent.together_with(account.received)
        used = {
            "mms": (account.sent_pictures, pictures_usd),
            "mms-outbound": (account.sent_pictures, pictures_usd),
            "sms": (texts, out_usd + in_usd),
            "sms-inbound": (account.received, in_usd),
            "sms-outbound": (account.sent, out_usd),
            "totalprice": (texts, out_usd + in_usd + pictures_usd),
        }
        asked = form.optional("Category")
        rows = [
            self._record(account, category, traffic, cost_usd)
            for category, (traffic, cost_usd) in used.items()
            if asked in (None, category)
        ]
        shown, more = page.of(rows)
        path = f"{account.base}/Usage/Records.json"
        return page.body_2010(path, "usage_records", list(shown), more="PA" if more else "")

    def _record(
        self, account: Account, category: str, traffic: Traffic, cost_usd: float
    ) -> dict[str, object]:
        world = self._world
        price_usd = f"{cost_usd:.5f}"
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
