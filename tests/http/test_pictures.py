"""Pictures that scripts carry (F090): kept by us, below 0.6 MB, fetched by the provider from an address of their own."""

import base64
from io import BytesIO

import msgspec
import pytest

from gateway.core.bank.pictures import MOST_BYTES
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, PUBLIC_URL, House

PATH = f"/v1/campaigns/{CAMPAIGN}/pictures"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def body(picture: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(picture).decode()}


async def test_a_picture_is_kept_and_fetched(house: House) -> None:
    """F090."""
    made = await house.call("POST", PATH, body(PNG))
    assert (made.status, made.body["content_type"], made.body["bytes"]) == (201, "image/png", len(PNG))
    assert made.body["url"].startswith(f"{PUBLIC_URL}/pictures/{CAMPAIGN}/")
    path = made.body["url"].removeprefix(PUBLIC_URL)
    fetched = await house.call("GET", path, key=None)
    assert (fetched.status, fetched.body, fetched.headers["Content-Type"]) == (200, PNG, "image/png")
    assert fetched.headers["X-Content-Type-Options"] == "nosniff"
    [listed] = (await house.call("GET", PATH)).body["pictures"]
    assert {**listed, "made_at": None} == {**made.body, "made_at": None}
    for wrong in (path[:-1] + ("0" if path[-1] != "0" else "1"), path.replace("/1/", f"/{OTHER_CAMPAIGN}/")):
        assert (await house.call("GET", wrong, key=None)).status == 404


@pytest.mark.parametrize(
    ("picture", "status"),
    [
        (PNG + bytes(MOST_BYTES - len(PNG) - 1), 201),
        (PNG + bytes(MOST_BYTES - len(PNG)), 422),
        (PNG + bytes(3 * MOST_BYTES), 413),
        (b"<svg onload='alert(1)'/>", 422),
        (b"", 422),
        (b"GIF89a" + bytes(9), 201),
        (b"\xff\xd8\xff\xe0", 201),
    ],
    ids=["nearly too large", "too large", "a body too large", "svg", "nothing", "gif", "jpeg"],
)
async def test_which_pictures_are_taken(house: House, picture: bytes, status: int) -> None:
    data = BytesIO(msgspec.json.encode(body(picture)))
    headers = {"Content-Type": "application/json"}
    assert (await house.call("POST", PATH, data=data, headers=headers)).status == status
