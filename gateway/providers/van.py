"""VAN (EveryAction), told over its public API: who it is, then one canvass response."""

import base64
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gateway.core.bank.van import VanContact, VanTold, canvass_response, person_sought, van_id
from gateway.core.bank.webhooks import Answered, Package, VanSettings
from gateway.providers.outside import NotReached, Outside, Reached
from gateway.providers.webhook import answered

_FOUND: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.FOUND})
_told = msgspec.json.Decoder(VanTold)
_settings = msgspec.json.Decoder(VanSettings)
_NOBODY: Final = Answered(
    is_taken=False, status=404, why="VAN knows nobody of this phone and name", is_final=True
)


class _Person(msgspec.Struct):
    vanId: int | None = None  # noqa: N815 - VAN's own name


class Van:
    """`package.secrets` has the credentials, `application:key|mode`; `package.url` the API's address, …/v4."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def hand_over(self, package: Package) -> Answered:
        """Taken as well: what VAN writes nothing down of. A test asks whether the credentials are good."""
        told, settings = _told.decode(package.body), _settings.decode(package.van or "{}")
        try:
            if told.type == "test":
                return answered(await self._call(package, "GET", "/apiKeyProfiles", None))
            response = canvass_response(told, settings)
            if response is None or told.data.contact is None:
                return Answered(is_taken=True)
            person = van_id(told.data.contact, settings) or await self._sought(package, told.data.contact)
            if isinstance(person, Answered):
                return person
            path = f"/people/{person}/canvassResponses"
            return _judged(await self._call(package, "POST", path, response))
        except NotReached as error:
            return Answered(is_taken=False, why=str(error))

    async def _sought(self, package: Package, contact: VanContact) -> int | Answered:
        """The id of the one person whom VAN knows by this phone; or what came instead."""
        answer = await self._call(package, "POST", "/people/find", person_sought(contact))
        if answer.status == HTTPStatus.NOT_FOUND:
            return _NOBODY
        if answer.status not in _FOUND:
            return answered(answer)
        try:
            found = msgspec.json.decode(answer.body, type=_Person).vanId
        except msgspec.MsgspecError:
            found = None
        return _NOBODY if found is None else found

    async def _call(self, package: Package, method: str, path: str, body: Any) -> Reached:
        headers = {
            "Authorization": "Basic " + base64.b64encode(package.secrets[0].encode()).decode(),
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        encoded = None if body is None else msgspec.json.encode(body)
        return await self._outside.call(method, package.url.rstrip("/") + path, headers, encoded)


def _judged(answer: Reached) -> Answered:
    """A code that VAN doesn't have, or a person whom it doesn't have any more, is as wrong tomorrow."""
    judged = answered(answer)
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
        words = answer.body[:200].decode(errors="replace")
        return msgspec.structs.replace(judged, is_final=True, is_gone=False, why=f"VAN says: {words}")
    return judged
