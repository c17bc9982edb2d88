"""Tracked links over HTTP (F107): a person's own address in a text leads on, and says who pressed it."""

from typing import Any

import pytest

from gateway.core.bank.links import MOST_CLICKS
from tests.http.house import CAMPAIGN, NUMBER, House, phone
from tests.http.test_actions import PATH, STOP

LINKS = f"/v1/campaigns/{CAMPAIGN}/links"
DOMAIN = "https://go.example.org"
VOTE = "https://vote.example.org/where?from=text"


async def a_link(house: House, **links: str) -> Any:
    settings = {"links": {"domain": DOMAIN, **links}}
    assert (await house.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", {"settings": settings})).status == 200
    made = await house.call("POST", LINKS, {"slug": "vote", "url": VOTE})
    assert made.status == 201, made.body
    return made.body


async def texts(house: House, source: str) -> tuple[int, dict[int, str]]:
    """A published action with one initial script: its id, and the text for each of some people."""
    script = {"kind": "initial", "source": source}
    action_id = (await house.call("POST", PATH, {"title": "x", "scripts": [script]})).body["action_id"]
    done = await house.call("POST", f"{PATH}/{action_id}/publish", {})
    assert done.status == 200, done.body
    shown = await house.call("GET", f"{PATH}/{action_id}/preview?people=3")
    return action_id, {each["contact_id"]: each["text"] for each in shown.body["texts"]}


def token_in(text: str) -> str:
    return text.partition(DOMAIN)[2].split()[0]


async def press(house: House, token: str, method: str = "GET", **headers: str) -> tuple[int, str | None]:
    async with house.session.request(
        method, house.worker.url + token, allow_redirects=False, headers=headers
    ) as answer:
        return answer.status, answer.headers.get("Location")


async def pressed(house: House, **query: object) -> list[Any]:
    await house.worker.gateway.links.windows[0].drain() if house.worker.gateway.links.windows else None
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return list((await house.call("GET", f"{LINKS}:clicks?{asked}")).body["clicks"])


async def test_a_press_leads_on_and_is_tied_to_text_contact_sender_and_action(house: House) -> None:
    """F107."""
    link = await a_link(house)
    action_id, shown = await texts(house, f"{STOP} {{{{'vote'|trackable}}}}")
    assert len(set(map(token_in, shown.values()))) == 3
    contact_id, text = next(iter(shown.items()))
    sent = await house.send(contact_id, text, action_id=action_id, sender_id=7, script="initial-1")
    assert sent.status == 202, sent.body
    assert await press(house, token_in(text)) == (302, VOTE)
    [click] = await pressed(house)
    assert (click["contact_id"], click["action_id"], click["user_id"]) == (contact_id, action_id, 7)
    assert (click["message_id"], click["slug"]) == (sent.body["message_id"], "vote")
    [told] = (await house.call("GET", LINKS)).body["links"]
    assert (told["link_id"], told["clicks"]) == (link["link_id"], 1)
    assert await pressed(house, action_id=action_id + 1) == []


async def test_looks_ahead_are_no_presses_and_presses_are_bounded(house: House) -> None:
    await a_link(house)
    _, shown = await texts(house, f"{STOP} {{{{'vote'|trackable}}}}")
    token = token_in(next(iter(shown.values())))
    assert await press(house, token, "HEAD") == (302, VOTE)
    assert await press(house, token, **{"Sec-Purpose": "prefetch;anonymous-client-ip"}) == (302, VOTE)
    assert await pressed(house) == []
    for _ in range(MOST_CLICKS + 3):
        assert (await press(house, token))[0] == 302
    assert len(await pressed(house)) == MOST_CLICKS
    assert (await press(house, token))[0] == 302
    assert len(await pressed(house)) == MOST_CLICKS


async def test_a_token_that_nobody_was_sent_leads_nowhere(house: House) -> None:
    await a_link(house)
    _, shown = await texts(house, f"{STOP} {{{{'vote'|trackable}}}}")
    token = token_in(next(iter(shown.values())))
    made_up = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    for each in (made_up, "/" + "A" * 22, "/" + "A" * 15, token + "A"):
        assert (await press(house, each))[0] == 404
    assert await pressed(house) == []


@pytest.mark.parametrize(
    "url",
    ["https://a.example/\n", "https://a.example\x01", "javascript:alert(1)", "//a.example", "https:///a"],
)
async def test_a_link_leads_to_an_address_of_the_web_alone(house: House, url: str) -> None:
    """Python's `$` lets a line break at the end in, and a header with one is a defect for whoever presses the link."""
    link = await a_link(house)
    assert (await house.call("POST", LINKS, {"slug": "odd", "url": url})).status == 422
    assert (await house.call("PATCH", f"{LINKS}/{link['link_id']}", {"url": url})).status == 422


async def test_a_link_that_leads_elsewhere_does_so_for_what_was_sent(house: House) -> None:
    link = await a_link(house)
    _, shown = await texts(house, f"{STOP} {{{{'vote'|trackable}}}}")
    token = token_in(next(iter(shown.values())))
    path, elsewhere = f"{LINKS}/{link['link_id']}", "https://elsewhere.example.org/"
    changed = await house.call("PATCH", path, {"url": elsewhere, "archived": True, "version": 1})
    assert (changed.status, changed.body["version"]) == (200, 2)
    clash = await house.call("PATCH", path, {"url": VOTE, "version": 1})
    assert (clash.status, clash.body["stored"]["url"]) == (409, elsewhere)
    assert await press(house, token) == (302, elsewhere)
    assert (await house.call("POST", LINKS, {"slug": "vote", "url": VOTE})).status == 409
    refused = await house.call("GET", f"{PATH}/1/readiness")
    assert refused.status == 404
    draft = {"title": "x", "scripts": [{"kind": "initial", "source": f"{STOP} {{{{'vote'|trackable}}}}"}]}
    action_id = (await house.call("POST", PATH, draft)).body["action_id"]
    reasons = (await house.call("GET", f"{PATH}/{action_id}/readiness")).body["reasons"]
    assert [each["code"] for each in reasons] == ["unknown-link"]


async def test_referral_and_registration_links(house: House) -> None:
    """F106, F108, F109: the referral is each contact's own, in a campaign that has no tracked link."""
    links = {"referral_url": "https://join.example.org/?a=1", "registration_url": "https://reg.example.org"}
    path = f"/v1/campaigns/{CAMPAIGN}"
    assert (await house.call("PATCH", path, {"settings": {"links": links}})).status == 200
    response = {
        "kind": "response",
        "source": "{{contact_referral_link}} {{impactive_check_registration_link}}",
    }
    scripts = [{"kind": "initial", "source": STOP}, response]
    action_id = (await house.call("POST", PATH, {"title": "x", "scripts": scripts})).body["action_id"]
    assert (await house.call("GET", f"{PATH}/{action_id}/readiness")).body["reasons"] == []
    shown = (await house.call("GET", f"{PATH}/{action_id}/preview?people=2")).body["texts"]
    own = {each["text"] for each in shown if each["script"] == "response-1"}
    assert len(own) == 2
    for text in own:
        assert text.startswith("https://join.example.org/?a=1&ref=")
        assert text.endswith(" https://reg.example.org")
    token = next(iter(own)).partition("ref=")[2].split()[0]
    assert (await press(house, f"/{token}"))[0] == 404


async def test_campaign_variables(house: House) -> None:
    """F096, F099."""
    await a_link(house, description="for all")
    source = f"{STOP} {{{{campaign.name}}}} {{{{campaign.description}}}} {{{{broadcast_phone_number}}}} {{{{phone}}}}"
    _, shown = await texts(house, source)
    contact_id, text = next(iter(shown.items()))
    assert text.endswith(f"Bank for all {NUMBER} {phone(contact_id)}")
