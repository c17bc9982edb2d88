"""What an operation of the API is: each resource's file declares its own, and routes and OpenAPI are made from them."""

from typing import Any, Final

import msgspec

from gateway.core.bank.permissions import Act

PLAIN: Final = "text/plain"
EVENT_STREAM: Final = "text/event-stream"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `handler` is `desk.method`; `act`: what is done, None needs no key; `gives` by status: a record, a
    media type, or several of them.

    `asks`: a record of what may stand in the query. `signed_in`: it is about whoever has signed in, and needs a session.
    """

    method: str
    path: str
    handler: str
    summary: str
    act: Act | None
    tag: str
    signed_in: bool = False
    takes: Any = None
    asks: Any = None
    also_takes: str | None = None  # a second media type
    gives: dict[int, Any] = {}
    refuses: tuple[int, ...] = ()
    headers: dict[str, str] = {}
    query: dict[str, str] = {}  # name -> meaning, all booleans

    @property
    def ids(self) -> list[str]:
        """The ids in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
