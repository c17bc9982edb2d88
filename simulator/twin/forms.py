"""The parameters of a request."""

from urllib.parse import unquote

from simulator.twin.errors import ApiError

_MOST_FIELDS = 500


class Form:
    """The parameters of one request; a name may come several times."""

    __slots__ = ("pairs", "values")

    def __init__(self, encoded: str) -> None:
        if encoded.count("&") >= _MOST_FIELDS:
            raise ApiError(20422, "Max number of fields exceeded")
        fields = [each.partition("=") for each in encoded.split("&") if each]
        self.pairs = [(_plain(name), _plain(value)) for name, _, value in fields]
        self.values = dict(self.pairs)

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def optional(self, name: str) -> str | None:
        """None when the parameter was not sent at all."""
        return self.values.get(name)

    def several(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name] if name in self.values else []

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise ApiError(20422, f"Invalid Parameter: {name} is true or false")
        return value.lower() == "true"

    def whole(self, name: str, default: int, *, code: int = 20422) -> int:
        value = self.values.get(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 9:
            raise ApiError(code)
        return int(value)


def _plain(text: str) -> str:
    """A name or value of a form as it was meant; most have nothing to decode."""
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text) if "%" in text else text
