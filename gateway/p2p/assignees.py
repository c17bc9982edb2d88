"""Whom a list's assignee column names: a person of the campaign, by e-mail address or by name (C8, F185)."""

from collections import Counter
from collections.abc import Sequence

from gateway.store.list_columns import Assignee


class Assignees:
    """The active people of a campaign. A name that two of them have names nobody."""

    def __init__(self, people: Sequence[Assignee]) -> None:
        names = Counter(_folded(each.name) for each in people)
        self._ids = {_folded(each.name): each.user_id for each in people if names[_folded(each.name)] == 1}
        self._ids |= {_folded(each.email): each.user_id for each in people}

    def id_of(self, word: str) -> int | None:
        """None: nobody, or nobody in particular, is meant."""
        return self._ids.get(_folded(word))


def _folded(word: str) -> str:
    return " ".join(word.split()).casefold()
