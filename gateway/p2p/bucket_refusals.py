"""Why nobody is given to a volunteer, or texted by a press."""

from gateway.core.rules.errors import BadInput, TextbankError


class NoContact(TextbankError):
    """The campaign has no such contact."""

    def __init__(self, contact_id: int) -> None:
        super().__init__(f"there is no contact {contact_id}")


class ActionOver(TextbankError):
    """The action was archived: nobody is texted in it any more. What was answered before goes out."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class BroadcastsGoByThemselves(BadInput):
    """Nobody presses Send in a broadcast."""

    def __init__(self) -> None:
        super().__init__("nobody presses Send in a broadcast", "action_id", "answer its replies")
