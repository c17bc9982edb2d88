"""VAN is told over its public API's shape: a stub server that refuses what VAN's documentation refuses."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from gateway.core.bank.van import VanContact, van_id
from gateway.core.bank.webhooks import Answered, Package, SurveyAnswer, VanSettings, networks
from gateway.providers.outside import Outside
from gateway.providers.van import Van

CREDENTIALS = "demo:11111111-2222|1"
SETTINGS = VanSettings(
    activist_codes={"Supporter": 4001, "Yard sign": 4002},
    survey_answers={"issue": {"parks": SurveyAnswer(question_id=51, response_id=510)}},
    replied_result_id=14,
    opted_out_result_id=130,
)


class Stub:
    """VAN as its documentation has it: people 100 (by id) and 200 (by phone)."""

    def __init__(self) -> None:
        self.written: list[tuple[int, dict[str, Any]]] = []
        self.sought: list[dict[str, Any]] = []
        self.find_status = 302
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v4/apiKeyProfiles", self.profiles)
        app.router.add_post("/v4/people/find", self.find)
        app.router.add_post("/v4/people/{van_id}/canvassResponses", self.canvass)
        return app

    def _is_known(self, request: web.Request) -> bool:
        expected = "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()
        return request.headers.get("Authorization") == expected

    async def profiles(self, request: web.Request) -> web.Response:
        return web.json_response({"items": []}, status=200 if self._is_known(request) else 401)

    async def find(self, request: web.Request) -> web.Response:
        sought = await request.json()
        self.sought.append(sought)
        if sought["phones"] != [{"phoneNumber": "2155550101"}]:
            return web.json_response({"errors": []}, status=404)
        headers = {"Location": "/v4/people/200"} if self.find_status == 302 else {}
        return web.json_response(
            {"vanId": 200, "status": "Matched"}, status=self.find_status, headers=headers
        )

    async def canvass(self, request: web.Request) -> web.Response:
        if not self._is_known(request):
            return web.Response(status=401)
        person, body = int(request.match_info["van_id"]), await request.json()
        if person not in (100, 200):
            return web.json_response({"errors": [{"text": "no such person"}]}, status=404)
        if (body["resultCodeId"] is None) is (body["responses"] is None):
            return web.json_response({"errors": [{"text": "one of the two"}]}, status=400)
        self.written.append((person, body))
        return web.Response(status=204)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    made = Stub()
    runner = web.AppRunner(made.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v4"
    yield made
    await runner.cleanup()


async def tell(stub: Stub, topic: str, credentials: str = CREDENTIALS, **data: Any) -> Answered:
    contact = {"contact_id": 1, "phone": "+12155550101", "first_name": "Ann", "last_name": "Li"}
    contact["fields"] = data.pop("own", {"van_id": "100"})
    contact["phone"] = data.pop("phone", contact["phone"])
    body = {"type": topic, "at": 1_773_154_800.0, "campaign_id": 1, "data": {"contact": contact, **data}}
    outside = Outside(allowed=networks("127.0.0.0/8"))
    package = Package(
        word="1-1-1",
        kind="van",
        url=stub.url,
        topic=topic,
        body=json.dumps(body if topic != "test" else {**body, "data": {}}),
        secrets=[credentials],
        van=msgspec.json.encode(SETTINGS).decode(),
    )
    try:
        return await Van(outside).hand_over(package)
    finally:
        await outside.close()


async def test_tags_are_activist_codes(stub: Stub) -> None:
    answer = await tell(stub, "tagged", tags=["Supporter", "Unknown to VAN"], removed_tags=["Yard sign"])
    assert answer.is_taken
    [(person, body)] = stub.written
    assert person == 100
    assert body["canvassContext"] == {
        "contactTypeId": 37, "inputTypeId": 11, "dateCanvassed": "2026-03-10T15:00:00+00:00",
    }  # fmt: skip
    assert body["responses"] == [
        {"type": "ActivistCode", "action": "Apply", "activistCodeId": 4001},
        {"type": "ActivistCode", "action": "Remove", "activistCodeId": 4002},
    ]


async def test_fields_of_a_report_are_survey_responses(stub: Stub) -> None:
    assert (await tell(stub, "reported", fields={"issue": "parks", "other": "x", "gone": None})).is_taken
    [(_, body)] = stub.written
    assert body["responses"] == [{"type": "SurveyResponse", "surveyQuestionId": 51, "surveyResponseId": 510}]


@pytest.mark.parametrize(("topic", "code"), [("replied", 14), ("opted_out", 130)])
async def test_what_came_of_it_is_a_result_code(stub: Stub, topic: str, code: int) -> None:
    assert (await tell(stub, topic)).is_taken
    assert [body["resultCodeId"] for _, body in stub.written] == [code]


async def test_what_has_no_code_is_written_nowhere(stub: Stub) -> None:
    for topic, data in (
        ("delivered", {}),
        ("reported", {"fields": {"issue": "roads"}}),
        ("tagged", {"tags": ["X"]}),
    ):
        assert (await tell(stub, topic, **data)).is_taken
    assert stub.written == []


@pytest.mark.parametrize("status", [200, 302])
async def test_who_has_no_id_is_looked_for_by_phone(stub: Stub, status: int) -> None:
    stub.find_status = status
    assert (await tell(stub, "replied", own={})).is_taken
    assert [person for person, _ in stub.written] == [200]
    assert stub.sought == [{"phones": [{"phoneNumber": "2155550101"}], "firstName": "Ann", "lastName": "Li"}]


async def test_whom_nobody_knows_is_not_tried_again(stub: Stub) -> None:
    nobody = await tell(stub, "replied", own={}, phone="+12155550199")
    gone = await tell(stub, "replied", own={"van_id": "999"})
    assert [(each.is_taken, each.is_final, each.is_gone) for each in (nobody, gone)] == [
        (False, True, False)
    ] * 2
    assert "no such person" in (gone.why or "")


async def test_wrong_credentials_are_tried_again_once_somebody_has_corrected_them(stub: Stub) -> None:
    wrong = await tell(stub, "replied", credentials="demo:wrong|1")
    assert (wrong.is_taken, wrong.is_final, wrong.status) == (False, False, 401)
    assert (await tell(stub, "test")).is_taken
    assert not (await tell(stub, "test", credentials="demo:wrong|1")).is_taken


@pytest.mark.parametrize(
    ("text", "expected"), [("100", 100), (" 7 ", 7), ("", None), (None, None), ("0", None), ("9" * 12, None), ("x", None)]
)  # fmt: skip
def test_a_van_id_is_a_number(text: str | None, expected: int | None) -> None:
    assert van_id(VanContact("+12155550101", fields={"van_id": text}), VanSettings()) == expected
