"""Accounts, their subresources and keys, through the official SDK."""

from datetime import date

import pytest
from twilio.base.exceptions import TwilioRestException

from simulator.twin.account_resources import EMPTY_LISTS
from simulator.twin.accounts import DEFAULT_SID, Account
from simulator.twin.server import TwilioServer
from tests.twilio_server.test_webhooks import listen, text
from tests.twilio_server.twin import OURS, PERSON, Connect, Receiver, Serve, Twilio, Wire

SUBRESOURCES = {
    "addresses", "applications", "authorized_connect_apps", "available_phone_numbers", "balance", "calls",
    "conferences", "connect_apps", "incoming_phone_numbers", "keys", "messages", "notifications",
    "outgoing_caller_ids", "queues", "recordings", "short_codes", "signing_keys", "sip", "transcriptions", "usage",
}  # fmt: skip


async def test_the_list_of_accounts_has_the_account_itself(serve: Serve, connect: Connect) -> None:
    ours, theirs = "AC" + "a" * 32, "AC" + "b" * 32
    server = await serve(accounts=[Account(ours, "one"), Account(theirs, "two")])
    twilio = connect(server, ours, "one")
    (account,) = await twilio.call(lambda c: c.api.v2010.accounts.list())
    assert (account.sid, account.status, account.type) == (ours, "active", "Full")
    assert await twilio.call(lambda c: c.api.v2010.accounts.list(status="closed")) == []
    assert await twilio.call(lambda c: c.api.v2010.accounts.list(friendly_name="Another")) == []


async def test_a_connector_walks_from_the_account(wire: Wire) -> None:
    """As tap-twilio and Airbyte do: along each of the addresses that the account names."""
    (account,) = (await wire("GET", "/2010-04-01/Accounts.json"))[1]["accounts"]
    assert set(account["subresource_uris"]) == SUBRESOURCES
    lists = {}
    for name, uri in account["subresource_uris"].items():
        status, body, _ = await wire("GET", uri)
        lists[name] = (
            body.get({"available_phone_numbers": "countries"}.get(name, name)) if status == 200 else status
        )
    assert {name for name, found in lists.items() if found == 404} == {"sip", "usage"}
    assert [len(lists[name]) for name in ("incoming_phone_numbers", "available_phone_numbers")] == [1, 1]
    assert all(lists[name] == [] for name in ("keys", "signing_keys", "messages", "calls", "short_codes"))


@pytest.mark.parametrize("path", EMPTY_LISTS)
async def test_lists_of_what_the_twin_has_not_are_empty(wire: Wire, path: str) -> None:
    status, page, _ = await wire("GET", f"/2010-04-01/Accounts/{DEFAULT_SID}/{path}.json")
    assert (status, page["next_page_uri"], page["start"], page["end"]) == (200, None, 0, 0)
    assert [rows for rows in page.values() if isinstance(rows, list)] == [[]]


async def test_the_sdk_reads_empty_lists(twilio: Twilio) -> None:
    for found in (
        lambda c: c.calls.list(),
        lambda c: c.applications.list(),
        lambda c: c.outgoing_caller_ids.list(),
        lambda c: c.recordings.list(),
        lambda c: c.short_codes.list(),
        lambda c: c.addresses.list(),
    ):
        assert await twilio.call(found) == []


async def test_a_key_is_fetched_renamed_and_listed_under_both_names(
    server: TwilioServer, twilio: Twilio, connect: Connect
) -> None:
    made = await twilio.call(lambda c: c.new_keys.create(friendly_name="worker"))
    fetched = await twilio.call(lambda c: c.keys(made.sid).fetch())
    assert (fetched.sid, fetched.friendly_name) == (made.sid, "worker")
    renamed = await twilio.call(lambda c: c.keys(made.sid).update(friendly_name="night worker"))
    assert renamed.friendly_name == "night worker"
    assert renamed.date_updated >= renamed.date_created
    with_key = connect(server, made.sid, made.secret, account_sid=DEFAULT_SID)
    assert [key.friendly_name for key in await with_key.call(lambda c: c.signing_keys.list())] == [
        "night worker"
    ]
    signing = await twilio.call(lambda c: c.new_signing_keys.create(friendly_name="signer"))
    assert {key.sid for key in await twilio.call(lambda c: c.keys.list())} == {made.sid, signing.sid}
    for missing in (lambda c: c.keys("SK" + "0" * 32).fetch(), lambda c: c.keys("SK" + "0" * 32).delete()):
        with pytest.raises(TwilioRestException) as refused:
            await twilio.call(missing)
        assert (refused.value.code, refused.value.status) == (20404, 404)


async def test_what_an_account_has_used(serve: Serve, connect: Connect, receiver: Receiver) -> None:
    server = await serve(accounts=[Account("AC" + "a" * 32, "one"), Account("AC" + "b" * 32, "two")])
    twilio, other = connect(server, "AC" + "a" * 32, "one"), connect(server, "AC" + "b" * 32, "two")
    for body in ("Hi. STOP to end", "x" * 161):
        await twilio.call(lambda c, body=body: c.messages.create(to=PERSON, from_=OURS, body=body))
    await listen(twilio, receiver)
    await text(twilio, server, "hello")
    await receiver.until(lambda w: w["Body"] == "hello")
    await twilio.call(
        lambda c: c.messages.create(to=PERSON, from_=OURS, media_url=["https://x.example/1.png"])
    )
    records = await twilio.call(lambda c: c.usage.records.list())
    assert {each.category: (each.count, each.usage, str(each.price)) for each in records} == {
        "mms": ("1", "1", "0.02200"),
        "mms-outbound": ("1", "1", "0.02200"),
        "sms": ("3", "4", "0.03320"),
        "sms-outbound": ("2", "3", "0.02490"),
        "sms-inbound": ("1", "1", "0.00830"),
        "totalprice": ("", "0.05520", "0.05520"),
    }
    assert {each.usage_unit for each in records} == {"segments", "usd"}
    (one,) = await twilio.call(
        lambda c: c.usage.records.list(category="sms-outbound", start_date=date(2026, 1, 1))
    )
    assert (one.count, str(one.start_date)) == ("2", "2026-11-04")
    assert {each.usage for each in await other.call(lambda c: c.usage.records.list())} == {"0", "0.00000"}
    assert await twilio.call(lambda c: c.usage.triggers.list()) == []
