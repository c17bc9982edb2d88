"""What an account has: credentials, numbers, services, messages. Records and their places, no rules."""

from hashlib import blake2b

import msgspec

from simulator.twin.history import History

DEFAULT_SID = "AC" + "0" * 32
DEFAULT_TOKEN = "twin"  # noqa: S105, published: it opens nothing but the twin
TEST_SID = "AC" + "0" * 31 + "1"
TEST_TOKEN = "test"  # noqa: S105, likewise


class Service(msgspec.Struct):
    """A Messaging Service; `campaign` is its 10DLC registration in the market."""

    sid: str
    campaign: int
    created_at: float
    updated_at: float
    friendly_name: str = ""
    inbound_request_url: str | None = None
    inbound_method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    sticky_sender: bool = True
    area_code_geomatch: bool = True
    mms_converter: bool = True
    smart_encoding: bool = True
    scan_message_content: str = "inherit"
    fallback_to_long_code: bool = True
    validity_period: int = 36_000
    usecase: str = "undeclared"
    use_inbound_webhook_on_number: bool = False
    synchronous_validation: bool = False
    senders: dict[str, "OwnedNumber"] = msgspec.field(default_factory=dict)
    sticky: dict[int, "OwnedNumber"] = msgspec.field(default_factory=dict)
    by_area_code: dict[int, list["OwnedNumber"]] = msgspec.field(default_factory=dict)
    sent: int = 0


class OwnedNumber(msgspec.Struct):
    """A number bought; `service` is the pool it is in."""

    sid: str
    phone: int
    e164: str
    friendly_name: str
    created_at: float
    updated_at: float
    home_campaign: int
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    service: Service | None = None
    joined_at: float = 0.0


class Message(msgspec.Struct, gc=False):
    """One message of an account. `n` is its number in the ledger, -1 when the market has not seen it.

    `place` is its position in the account's list; times are seconds since the world's start.
    """

    n: int
    sid: str
    account: "Account"
    direction: str
    sender: int
    to: int
    body: str
    segments: int
    created_at: float
    place: int = 0
    service: Service | None = None
    callback: str = ""
    media: tuple[str, ...] = ()
    status: str = ""  # where the ledger does not say
    code: int = 0
    changed_at: float = 0.0
    deleted: bool = False


class ApiKey(msgspec.Struct, frozen=True):
    """A further credential of an account."""

    sid: str
    friendly_name: str
    secret: str
    created_at: float
    updated_at: float


class Traffic(msgspec.Struct):
    """Messages one way, and their segments."""

    messages: int = 0
    segments: int = 0

    def count(self, segments: int) -> None:
        self.messages += 1
        self.segments += segments

    def together_with(self, other: "Traffic") -> "Traffic":
        """Both together."""
        return Traffic(self.messages + other.messages, self.segments + other.segments)


class Account:
    """One customer of the API."""

    def __init__(self, sid: str, token: str, *, is_test: bool = False) -> None:
        self.sid = sid
        self.token = token
        self.is_test = is_test
        self.campaign = 0
        self.base = f"/2010-04-01/Accounts/{sid}"
        self.messages_path = f"{self.base}/Messages.json"
        self.numbers: dict[str, OwnedNumber] = {}
        self.by_phone: dict[int, OwnedNumber] = {}
        self.services: dict[str, Service] = {}
        self.keys: dict[str, ApiKey] = {}
        self.messages = History(self)
        self.sent, self.sent_pictures, self.received = Traffic(), Traffic(), Traffic()
        self.open_requests = 0

    def __repr__(self) -> str:
        return f"Account({self.sid}, {len(self.numbers)} numbers, {len(self.messages):,} messages)"

    def make_sid(self, prefix: str, what: str) -> str:
        """An identifier of 34 characters: the same for the same account and thing."""
        return prefix + blake2b(f"{self.sid}/{what}".encode(), digest_size=16).hexdigest()


def default_accounts() -> list[Account]:
    """The account that is there when none is asked for."""
    return [Account(DEFAULT_SID, DEFAULT_TOKEN)]


def test_account() -> Account:
    """Test credentials: magic numbers, nothing sent."""
    return Account(TEST_SID, TEST_TOKEN, is_test=True)
