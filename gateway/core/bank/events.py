"""What the journal tells of: one word for each kind of event."""

from enum import StrEnum


class EventKind(StrEnum):
    """Moves between `queued` and `sending` are not among them: they change nothing that is counted or told."""

    ADMITTED = "admitted"  # a message entered the books: queued, straight on, or blocked with a code
    MOVED = "moved"  # its state changed: by the provider's word, by the second look, for another attempt
    HEARD = "heard"  # a person's text; the state is what it asks for, `opted_out` where it was their opt-out
    OPTED_OUT = "opted_out"  # noted by hand
    ASSIGNED = "assigned"  # contacts became a volunteer's
    RELEASED = "released"  # contacts are free again
    HANDED_OVER = "handed_over"  # conversations became another volunteer's
    REPORTED = "reported"
    NOTICED = "noticed"  # people were told something within the application
    LIMIT = "limit"  # a limit is two thirds used (code 1), or all of it (code 2); the state names it
    BREAKER = "breaker"  # first texts of a script (`scripts`) wait for a carrier (`kinds`), or go again: state, and why (`befores`)
    FILED = "filed"  # a conversation was read, archived, or is in the inbox again


OPTED_OUT = "opted_out"
"""The state of a heard text that opted its person out; a STOP of somebody who had left already is a `stop`."""
FIRST_ANSWER = "first"
"""Before a heard text that is the first since its person's last first text."""
