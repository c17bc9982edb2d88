"""Pictures: an MMS is one unit, keeps its pictures while it waits, and needs no words."""

import pytest

from gateway.core.text.segments import cost_usd
from gateway.providers.base import Refused
from tests.http.house import CAMPAIGN, House

PICTURE, OTHER = "https://texts.example.org/a.jpg", "https://texts.example.org/b.png?size=2"
LONG = "Sí 👍 " * 60


async def test_a_text_with_pictures_is_one_unit_and_priced_as_an_mms(house: House) -> None:
    answer = await house.send(1, LONG, media_urls=[PICTURE, OTHER])
    text = await house.provider.next_text()
    assert (text.body, text.media, text.segments) == (LONG, (PICTURE, OTHER), 1)
    await house.says(text, "delivered")
    shown = (await house.call("GET", f"/v1/messages/{CAMPAIGN}/{answer.body['message_id']}")).body
    assert (shown["media_urls"], shown["segments"], shown["state"]) == ([PICTURE, OTHER], 1, "delivered")
    assert shown["cost_usd"] == pytest.approx(cost_usd(1, None, "full", mms=True))
    story = (await house.call("GET", f"/v1/messages/{CAMPAIGN}/{answer.body['message_id']}/story")).body
    assert "one MMS with 2 pictures" in story["story"][0]["words"]
    assert await house.metric('p2p_messages_accepted_total{channel="mms",kind="initial"}') == 1


async def test_a_text_without_pictures_is_as_before(house: House) -> None:
    answer = await house.send(1, LONG)
    text = await house.provider.next_text()
    assert (text.media, text.segments > 1) == (None, True)
    shown = (await house.call("GET", f"/v1/messages/{CAMPAIGN}/{answer.body['message_id']}")).body
    assert shown["media_urls"] == []
    assert await house.metric('p2p_messages_accepted_total{channel="mms",kind="initial"}') == 0


async def test_pictures_survive_the_queue(house: House) -> None:
    """The second attempt is read from the store."""
    house.provider.answers.append(Refused(20429))
    await house.send(1, "", media_urls=[PICTURE])
    assert (await house.provider.next_text()).attempt == 1
    again = await house.provider.next_text()
    assert (again.attempt, again.body, list(again.media or ())) == (2, "", [PICTURE])


async def test_the_same_words_with_another_picture_are_another_text(house: House) -> None:
    await house.writes(1, "Show me")
    outcomes = [
        (await house.send(1, "Look", kind=kind, media_urls=media)).body.get("code")
        for kind, media in [
            ("reply", [PICTURE]),
            ("reply", [PICTURE]),
            ("reply", [OTHER]),
            ("reply", []),
            ("reply", []),
        ]
    ]
    assert outcomes == [None, 1001, None, None, 1001]


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ([PICTURE] * 10, "", 202),
        ([PICTURE] * 11, "", 422),
        (["ftp://texts.example.org/a.jpg"], "", 422),
        (["https://"], "", 422),
        (["a picture"], "", 422),
    ],
)
async def test_what_can_be_no_picture_is_refused(
    house: House, media: list[str], body: str, status: int
) -> None:
    answer = await house.send(1, body, media_urls=media)
    assert answer.status == status
    assert await house.count("messages") == (status == 202)


async def test_in_a_batch_each_row_has_its_own(house: House) -> None:
    rows = [
        {"contact_id": 1, "body": "A", "media_urls": [PICTURE]},
        {"contact_id": 2, "body": "B"},
        {"contact_id": 3, "body": "C", "media_urls": ["nothing"]},
    ]
    answer = await house.call("POST", "/v1/messages:batch", {"campaign_id": CAMPAIGN, "messages": rows})
    assert (answer.body["accepted"], answer.body["rejected"]) == (2, 1)
    rows_stored = await house.store.fetch("SELECT body, media FROM messages ORDER BY body")
    assert [tuple(row) for row in rows_stored] == [("A", [PICTURE]), ("B", None)]
