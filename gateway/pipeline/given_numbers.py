"""Which number each contact of a campaign was given lately, until the store says so."""


class GivenNumbers:
    """Contact -> number: the last `least` contacts, and at most as many before them.

    Two generations, the older dropped whole when the newer is full, or by `turn`.
    """

    __slots__ = ("_least", "_newer", "_older")

    def __init__(self, least: int) -> None:
        self._least = least
        self._newer: dict[int, int] = {}
        self._older: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def get(self, contact_id: int) -> int | None:
        number_id = self._newer.get(contact_id)
        return self._older.get(contact_id) if number_id is None else number_id

    def give(self, contact_id: int, number_id: int) -> None:
        if len(self._newer) >= self._least:
            self.turn()
        self._newer[contact_id] = number_id

    def turn(self) -> None:
        """Forgets what was given before the last turn."""
        self._newer, self._older = {}, self._newer
