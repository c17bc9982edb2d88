"""What comes in and goes out of the API; the OpenAPI document is made from these types."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignSettings
from gateway.core.text.segments import Encoding

MOST_ROWS = 5_000
LONGEST_BODY = 1_600  # characters; Twilio's most
LONGEST_KEY = 255
MOST_MEDIA = 10  # Twilio's most

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Scope = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Key = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
MediaUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/]+\S*$", max_length=2000)]
Cell = Annotated[str, Meta(max_length=500)]


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


class SingleMessage(NewMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of a campaign to one of its contacts."""

    campaign_id: Id


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Texts of one campaign; each row stands or falls by itself."""

    campaign_id: Id
    messages: Annotated[list[NewMessage], Meta(min_length=1, max_length=MOST_ROWS)]


class BatchEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch without its rows, which are read one by one: they are many, or one of them is bad."""

    campaign_id: Id
    messages: tuple[()]


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of a row: in the books with its state (`blocked` with code and words), or `error`."""

    message_id: int | None = None
    state: str | None = None
    code: int | None = None
    reason: str | None = None
    explanation: str | None = None
    error: str | None = None


class BatchResult(Struct, frozen=True, kw_only=True):
    """One result a row, in the order of the rows; the three counts add up to their number."""

    accepted: int
    blocked: int
    rejected: int
    results: list[Result]


class Message(Struct, frozen=True, kw_only=True):
    """A message as it stands; times are Unix seconds, null: not yet."""

    campaign_id: int
    message_id: int
    contact_id: int
    to: str | None
    sent_from: str | None
    kind: str
    action_id: int | None
    sender_id: int | None
    script: str | None
    body: str
    media_urls: list[str]
    segments: int
    encoding: Encoding
    state: str
    code: int | None
    reason: str | None
    explanation: str | None
    attempt: int
    provider_sid: str | None
    cost_usd: float
    requested_at: float
    not_after: float | None
    due_at: float | None
    slot_at: float | None
    accepted_at: float | None
    sent_at: float | None
    final_at: float | None


class Chapter(Struct, frozen=True):
    """One thing that happened to a message, and when (Unix seconds)."""

    at: float
    what: Literal[
        "requested", "check", "wait", "number", "attempt", "receipt", "inbound", "opt_out", "cost", "now"
    ]
    words: str


class Story(Struct, frozen=True, kw_only=True):
    """A message's whole life in words, in order."""

    campaign_id: int
    message_id: int
    state: str
    cost_usd: float
    story: list[Chapter]


class NewCampaign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A campaign; without an id it gets one.

    `opt_out_scope`: campaigns of one organisation with the same number honour each other's opt-outs (C5); without
    it the campaign's are its own, 0 is the whole organisation.
    """

    name: Name
    campaign_id: Id | None = None
    organisation_id: Id = DEFAULT_ORGANISATION
    opt_out_scope: Scope | None = None
    settings: CampaignSettings = CampaignSettings()
    paused: bool = False


class CampaignChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pauses a campaign or lets it go on: while paused nothing is admitted and nothing handed over.

    `settings` take the place of all that were there; they are in force within two seconds, also for what waits.
    """

    paused: bool | None = None
    settings: CampaignSettings | None = None


class CampaignView(Struct, frozen=True, kw_only=True):
    """A campaign and its settings. `waits_because`: why no worker could take it up yet; it is tried again."""

    campaign_id: int
    organisation_id: int
    name: str
    opt_out_scope: int
    paused: bool
    settings: CampaignSettings
    waits_because: str | None = None


class CampaignList(Struct, frozen=True):
    """The campaigns that the key may see."""

    campaigns: list[CampaignView]


class NumberView(Struct, frozen=True, kw_only=True):
    """A number of the pool (C7); `conversations` is how many people know us by it.

    `provisioning`: it waits until `settles_at`, and is tried again then. `is_proved`: carriers know it.
    `refused_with`: the code with which they last refused it as unknown (30034, 30035).
    """

    number_id: int
    phone: str
    area_code: str
    state: str
    bought_because: str
    provider_sid: str
    conversations: int
    new_conversations_in_turn: int
    errors: int
    quarantines: int
    bought_at: float | None
    settles_at: float | None
    is_proved: bool
    refused_with: int | None
    last_used_at: float | None
    moved_to: int | None


class NumberList(Struct, frozen=True, kw_only=True):
    """A campaign's number pool, and how many numbers its registration allows.

    Retired numbers count, since they stay in the registered campaign. `nothing_bought_because`: `unregistered`
    (carriers say 30034), `budget` (`bought_lately`, within 24 hours, of `purchases_per_day`), `pool_is_full`; null:
    numbers are bought as they are needed.
    """

    most_numbers: int
    bought_lately: int
    purchases_per_day: int
    nothing_bought_because: str | None
    numbers: list[NumberView]


class RegistrationView(Struct, frozen=True, kw_only=True):
    """What was registered and what the carriers grant for it, in segments per second; null: no limit."""

    sender: str
    brand_kind: str
    campaign_kind: str
    score: int | None
    verified: bool
    total_per_s: float | None
    number_per_s: float | None
    carrier_per_s: dict[str, float | None]
    small_carrier_number_per_s: float | None
    tmobile_daily_segments: int | None
    most_numbers: int


class NewContact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person; `phone` as typed, `zip` and `state` narrow the lawful hours (C1)."""

    phone: Annotated[str, Meta(max_length=120)]
    first_name: Cell = ""
    last_name: Cell = ""
    email: Cell = ""
    zip: Annotated[str, Meta(max_length=10)] = ""
    state: Annotated[str, Meta(max_length=2)] = ""
    line_type: Cell | None = None
    carrier: Cell | None = None
    fields: Annotated[dict[Name, Cell], Meta(max_length=100)] = {}


class NewContacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People of a campaign, one row a person."""

    contacts: Annotated[list[NewContact], Meta(min_length=1, max_length=MOST_ROWS)]


class ContactsEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upload without its rows, which are read one by one, because they are many."""

    contacts: tuple[()]


class RejectedRow(Struct, frozen=True, kw_only=True):
    """A row that was not used: its line in the CSV, or its place among the rows of JSON from 1; which column, and why."""

    line: int
    column: str
    reason: str
    text: str


class Contacts(Struct, frozen=True, kw_only=True):
    """What became of an upload: `new` are stored, `known` were there before.

    `rejected` counts by reason, `rejects` are the first 10,000 of these rows. Rows given as JSON have their contact
    ids in order, null for a rejected one. `columns`, `ignored` and `warnings` are a CSV's: what each header was taken
    for, which were taken for nothing, and what its owner should know.
    """

    rows: int
    new: int
    known: int
    rejected: dict[str, int]
    contact_ids: list[int | None] = []
    rejects: list[RejectedRow] = []
    columns: dict[str, str] = {}
    ignored: list[str] = []
    warnings: list[str] = []


class Health(Struct, frozen=True, kw_only=True):
    """Whether this worker can work, and each part's word."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, str] = {}
