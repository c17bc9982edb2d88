"""Every operation of the API in one table: the routes and the OpenAPI document are both made from it."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from gateway.http.access import Role
from gateway.http.records import (
    Batch,
    BatchResult,
    CampaignChange,
    CampaignList,
    CampaignView,
    Contacts,
    Health,
    Message,
    NewCampaign,
    NewContacts,
    NumberList,
    RegistrationView,
    Result,
    SingleMessage,
    Story,
)

CSV: Final = "text/csv"
PLAIN: Final = "text/plain"
_OK, _CREATED, _ACCEPTED = HTTPStatus.OK.value, HTTPStatus.CREATED.value, HTTPStatus.ACCEPTED.value
_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY.value
_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE.value


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `handler` is `desk.method`; `role` None needs no key; `gives` by status."""

    method: str
    path: str
    handler: str
    summary: str
    role: Role | None
    tag: str
    takes: Any = None
    also_takes: str | None = None  # a second media type
    gives: dict[int, Any] = {}
    refuses: tuple[int, ...] = ()
    headers: dict[str, str] = {}
    query: dict[str, str] = {}  # name -> meaning, all booleans

    @property
    def ids(self) -> list[str]:
        """The ids in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


_KEY_HEADER: Final = {
    "Idempotency-Key": "A repeat with the same key gets the first one's status and body and sends nothing; other "
    "parameters are 422, a first that is under way 409. For a batch each row without a key of its own gets this one, "
    "a colon and its place."
}

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        method="POST",
        path="/v1/messages",
        handler="sending.one",
        summary="Send one text. Answers once it is durable, admitted or blocked by a safeguard.",
        role=Role.SENDER,
        tag="messages",
        takes=SingleMessage,
        gives={_ACCEPTED: Result},
        refuses=(400, 404, 409, 413, 415, 422, 503),
        headers=_KEY_HEADER,
    ),
    Operation(
        method="POST",
        path="/v1/messages:batch",
        handler="sending.many",
        summary="Send many texts of one campaign; each row stands or falls by itself.",
        role=Role.SENDER,
        tag="messages",
        takes=Batch,
        gives={_ACCEPTED: BatchResult, _UNPROCESSABLE: BatchResult},
        refuses=(400, 404, 409, 413, 415, 422, 503),
        headers=_KEY_HEADER,
    ),
    Operation(
        method="GET",
        path="/v1/messages/{campaign_id}/{message_id}",
        handler="reading.message",
        summary="A message as it stands.",
        role=Role.READER,
        tag="messages",
        gives={_OK: Message},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path="/v1/messages/{campaign_id}/{message_id}/story",
        handler="reading.story",
        summary="A message's life in words: every check, wait, number choice, attempt, receipt and cent.",
        role=Role.READER,
        tag="messages",
        gives={_OK: Story},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path="/v1/campaigns",
        handler="campaigns.create",
        summary="Make a campaign.",
        role=Role.ADMIN,
        tag="campaigns",
        takes=NewCampaign,
        gives={_CREATED: CampaignView},
        refuses=(400, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns",
        handler="campaigns.show_all",
        summary="The campaigns that the key may see.",
        role=Role.READER,
        tag="campaigns",
        gives={_OK: CampaignList},
        refuses=(503,),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}",
        handler="campaigns.show",
        summary="A campaign and its settings.",
        role=Role.READER,
        tag="campaigns",
        gives={_OK: CampaignView},
        refuses=(404, 503),
    ),
    Operation(
        method="PATCH",
        path="/v1/campaigns/{campaign_id}",
        handler="campaigns.change",
        summary="Pause a campaign, let it go on, or give it other settings.",
        role=Role.ADMIN,
        tag="campaigns",
        takes=CampaignChange,
        gives={_OK: CampaignView},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/contacts",
        handler="uploads.contacts",
        summary="Upload contacts: a CSV with a header row, or rows of JSON. A phone the campaign has keeps its row.",
        role=Role.SENDER,
        tag="campaigns",
        takes=NewContacts,
        also_takes=CSV,
        gives={_OK: Contacts},
        refuses=(400, 404, 413, 415, 422, 502, 503),
        query={"look_up": "Ask the provider for each phone's line type and carrier; it bills for that."},
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/numbers",
        handler="reading.numbers",
        summary="The campaign's number pool.",
        role=Role.READER,
        tag="campaigns",
        gives={_OK: NumberList},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/registration",
        handler="reading.registration",
        summary="What is registered with the carriers, and the rates they grant for it.",
        role=Role.READER,
        tag="campaigns",
        gives={_OK: RegistrationView},
        refuses=(404, 503),
    ),
    Operation(
        method="GET",
        path="/livez",
        handler="health.alive",
        summary="This worker lives. /healthz is the same.",
        role=None,
        tag="health",
        gives={_OK: Health},
    ),
    Operation(
        method="GET",
        path="/readyz",
        handler="health.ready",
        summary="This worker can work: the database and the provider answer, and it is not stopping.",
        role=None,
        tag="health",
        gives={_OK: Health, _UNAVAILABLE: Health},
    ),
)

INTERNAL: Final[tuple[Operation, ...]] = (
    Operation(
        method="GET",
        path="/livez",
        handler="health.alive",
        summary="This worker lives. /healthz is the same.",
        role=None,
        tag="health",
        gives={_OK: Health},
    ),
    Operation(
        method="GET",
        path="/readyz",
        handler="health.ready_in_detail",
        summary="This worker can work, and each part's word about that.",
        role=None,
        tag="health",
        gives={_OK: Health, _UNAVAILABLE: Health},
    ),
    Operation(
        method="GET",
        path="/metrics",
        handler="health.metrics",
        summary="Metrics in Prometheus' text format.",
        role=None,
        tag="health",
        gives={_OK: PLAIN},
    ),
)
"""What only the house reaches: on a listener of its own."""
