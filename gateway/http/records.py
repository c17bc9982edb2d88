"""Records of the API that more than one resource uses, and the bounds they share; the others stand in their resource's file."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.core.text.patterns import URL, whole

MOST_ROWS = 5_000
LONGEST_BODY = 1_600  # characters; Twilio's most
LONGEST_KEY = 255
MOST_MEDIA = 10  # Twilio's most

LARGEST_ID: Final = 2**63 - 1
"""PostgreSQL's `bigint`: nothing has a larger one."""
Id = Annotated[int, Meta(ge=1, le=LARGEST_ID)]
CursorWord = Annotated[str, Meta(max_length=200)]
Cursor = Annotated[CursorWord | None, Meta(description="The `next` of the page before.")]
Key = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
MediaUrl = Annotated[str, Meta(pattern=whole(URL), max_length=2000)]


class NewMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to one contact, named by `contact_id` or by phone (`to`); `body` is the text as it will be read.

    With `media_urls`, from which the provider fetches pictures, it goes as an MMS and counts as one segment.
    """

    body: Annotated[str, Meta(max_length=LONGEST_BODY)]
    contact_id: Id | None = None
    to: Annotated[str, Meta(max_length=40)] | None = None
    kind: Literal["initial", "reply"] = "initial"
    action_id: Id | None = None
    sender_id: Id | None = None
    script: Annotated[str, Meta(max_length=100)] | None = None
    media_urls: Annotated[tuple[MediaUrl, ...], Meta(max_length=MOST_MEDIA)] = ()
    idempotency_key: Key | None = None


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of a row: in the books with its state (`blocked` with code and words), or `error`."""

    message_id: int | None = None
    state: str | None = None
    code: int | None = None
    reason: str | None = None
    explanation: str | None = None
    error: str | None = None
