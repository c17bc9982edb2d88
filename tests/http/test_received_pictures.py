"""Pictures that people sent: the thread says that there is one, and nothing is fetched until somebody presses for it."""

from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.providers.base import AnswerLost, Refused
from simulator.model.pictures import PICTURES
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, Answer, House, inbound_form, phone
from tests.http.persons import somebody
from tests.http.test_inbox import INBOX, texted

KINDS = ("image/png", "image/svg+xml", "text/vcard")
ADDRESS = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME{}"


class Kept:
    """What the provider has, and who asked for it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, str]] = []
        self.content: bytes | Exception = PICTURES["image/png"]

    async def fetch_media(self, provider_sid: str, place: int, url: str, _most_bytes: int) -> bytes:
        self.asked.append((provider_sid, place, url))
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


@pytest.fixture
def kept(house: House, monkeypatch: pytest.MonkeyPatch) -> Kept:
    kept = Kept()
    fetcher = house.worker._parts.received_pictures._fetch.__self__
    monkeypatch.setattr(fetcher, "_source", kept)
    return kept


async def sends_pictures(house: House, contact_id: int = 1, sid: str = "MM1", body: str = "") -> None:
    form = [each for each in inbound_form(sid, phone(contact_id), body) if each[0] != "NumMedia"]
    form.append(("NumMedia", str(len(KINDS))))
    for nth, kind in enumerate(KINDS):
        form += [(f"MediaUrl{nth}", ADDRESS.format(nth)), (f"MediaContentType{nth}", kind)]
    answer = await house.webhook("/webhooks/twilio/inbound", form)
    assert answer.status < 300


async def pictures(house: House, contact_id: int = 1, **more: Any) -> list[Any]:
    thread = await house.call("GET", f"{INBOX}/{contact_id}", **more)
    assert thread.status == 200, thread.body
    return [each for text in thread.body["texts"] for each in text.get("pictures", ())]


async def show(house: House, path: str, **more: Any) -> Answer:
    return await house.call("GET", path, **more)


async def test_nothing_is_fetched_until_somebody_presses(house: House, kept: Kept) -> None:
    await texted(house, 1)
    await sends_pictures(house, body="Look")
    await sends_pictures(house, body="Look")  # the webhook comes again
    shown = await pictures(house)
    assert [each["media_type"] for each in shown] == [*KINDS]
    assert kept.asked == []
    answer = await show(house, shown[0]["path"])
    assert (answer.status, answer.body) == (200, PICTURES["image/png"])
    assert kept.asked == [("MM1", 0, ADDRESS.format(0))]
    headers = {
        name: answer.headers[name] for name in ("Content-Type", "X-Content-Type-Options", "Cache-Control")
    }
    assert headers == {
        "Content-Type": "image/png",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    lines = await house.store.fetch("SELECT act, after::text FROM audit_log WHERE act LIKE 'received%'")
    assert [line[0] for line in lines] == ["received picture opened"]
    assert '"contact_id": 1' in lines[0][1]


@pytest.mark.parametrize(
    "content",
    [PICTURES["image/svg+xml"], PICTURES["text/vcard"], b"<html><script>alert(1)</script>", b"", b"GIF"],
    ids=["svg", "card", "html", "nothing", "half a sign"],
)
async def test_what_is_no_picture_is_not_shown_whatever_it_is_called(
    house: House, kept: Kept, content: bytes
) -> None:
    await texted(house, 1)
    await sends_pictures(house)
    kept.content = content
    answer = await show(house, (await pictures(house))[0]["path"])
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("trouble", "status"), [(Refused(404, "gone"), 404), (AnswerLost(), 503)], ids=["gone", "away"]
)
async def test_what_the_provider_does_not_hand_out(
    house: House, kept: Kept, trouble: Exception, status: int
) -> None:
    await texted(house, 1)
    await sends_pictures(house)
    kept.content = trouble
    assert (await show(house, (await pictures(house))[0]["path"])).status == status


async def test_only_who_may_read_the_thread_sees_its_pictures(house: House, kept: Kept) -> None:
    ann, ann_id = await somebody(house, email="ann@example.org")
    ben, _ = await somebody(house, email="ben@example.org")
    await texted(house, 1, volunteer_id=ann_id)
    await sends_pictures(house)
    [first, *_] = await pictures(house, key=ann)
    path = first["path"]
    assert (await show(house, path, key=ben)).status == 404
    assert (await show(house, path, key=None)).status == 401
    elsewhere = path.replace(f"/campaigns/{CAMPAIGN}/", f"/campaigns/{OTHER_CAMPAIGN}/")
    assert (await show(house, elsewhere)).status == 404
    assert (await show(house, path.replace("/conversations/1/", "/conversations/2/"))).status == 404
    assert (await show(house, path[:-1] + "7")).status == 404
    assert (await show(house, path[:-1] + "9" * 30)).status == 404
    assert kept.asked == []
    assert (await show(house, path, key=ann)).status == 200
    assert (await show(house, path, key=Role.KEY_ADMIN)).status == 200


async def test_they_go_with_the_person(house: House, kept: Kept) -> None:
    await texted(house, 1)
    await sends_pictures(house)
    assert await house.count("inbound_media") == len(KINDS)
    assert (await house.call("DELETE", f"/v1/campaigns/{CAMPAIGN}/contacts/1")).status == 204
    assert await house.count("inbound_media") == 0
