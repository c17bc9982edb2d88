"""The records that pass through the market: what is asked, what is refused, what is on its way.

Times are seconds since the world's start; phones are ints (12155550123).
"""

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

MOBILE, LANDLINE, DEAD = range(3)  # Population.line

_REFUSALS = {  # code -> (HTTP status, text)
    21211: (400, "Invalid 'To' phone number"),
    21408: (400, "texts to that country are not allowed"),
    21421: (400, "Invalid area code"),
    21422: (400, "The phone number is not available any more"),
    21452: (400, "No phone numbers found in the area code"),
    21602: (400, "Message body is required"),
    21606: (400, "The 'From' phone number is not yours, or not usable"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "This 'From' number has exceeded the maximum number of queued messages"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21624: (400, "Invalid validity period"),
}


class Submission(msgspec.Struct, frozen=True, gc=False):
    """One create call as it reaches the provider.

    `reference` comes back in status events: (campaign_id, message_id, attempt) as ints, or opaque bytes.
    `body_key` says which texts are the same to a filter: crc32 of the body, or of its script.
    `handed_at` is when the request left the gateway; `validity_s` counts from its arrival.
    """

    to: int
    sender: int
    campaign: int
    segments: int
    body: str
    body_key: int
    validity_s: float
    reference: tuple[int, int, int] | bytes
    handed_at: float
    pictures: int = 0  # with one it is an MMS, whatever its text


class Passage(msgspec.Struct, gc=False):
    """One message on its way: `nth` counts the texts to its phone before, `word` is its luck."""

    n: int
    nth: int
    sid: str
    submission: Submission
    index: int
    carrier: int
    line: int
    segments: int
    deadline: float
    word: int
    is_mms: bool = False
    waiting: bool = False
    departed_at: float = 0.0
    code: int = 0


class MarketRefusal(Exception):
    """The provider says no at once: its error code, the HTTP status and the text."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.http_status, self.text = _REFUSALS[code]
        super().__init__(code)  # SimPy makes a copy from the arguments

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class MessageRecord(msgspec.Struct, frozen=True):
    """One message as a fetch shows it; `created_at` in seconds since the world's start."""

    sid: str
    to: int
    sender: int
    campaign: int
    segments: int
    status: str
    code: int
    created_at: float
    reference: tuple[int, int, int] | bytes


class Population(Protocol):
    """The people that can be texted; `line` is 0 mobile, 1 landline, 2 dead."""

    phones: NDArray[np.int64]
    carrier: NDArray[np.uint8]
    line: NDArray[np.uint8]

    def index_of(self, phone: int) -> int: ...
    def __len__(self) -> int: ...


class Receiver(Protocol):
    """Who is told that a text lit up a handset; `nth` counts the texts sent to the phone before."""

    def received(self, index: int, phone: int, sender: int, body: str, nth: int, at: float) -> None: ...


def is_us_number(phone: int) -> bool:
    """1 NXX NXX XXXX: the shape only; whether anybody answers is the carriers' business."""
    area_code, exchange = phone // 10_000_000 % 1000, phone // 10_000 % 1000
    return phone // 10_000_000_000 == 1 and area_code >= 200 and exchange >= 200
