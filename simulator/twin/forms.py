"""The parameters of a request."""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from simulator.twin.errors import ApiError

_MOST_FIELDS = 500
_SID = re.compile("[A-Z]{2}[0-9a-fA-F]{32}")


class Form:
    """The parameters of one request; a name may come several times."""

    __slots__ = ("pairs", "values")

    def __init__(self, encoded: str) -> None:
        if encoded.count("&") >= _MOST_FIELDS:
            raise ApiError(20422, "Max number of fields exceeded")
        fields = [each.partition("=") for each in encoded.split("&") if each]
        self._hold([(_plain(name), _plain(value)) for name, _, value in fields])

    @classmethod
    def of_parts(cls, parts: Sequence[tuple[str, str]]) -> "Form":
        """The parameters of a body of several parts (multipart/form-data)."""
        if len(parts) > _MOST_FIELDS:
            raise ApiError(20422, "Max number of fields exceeded")
        form = cls("")
        form._hold(list(parts))
        return form

    def _hold(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self.values = dict(pairs)

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

    def choice(self, name: str, allowed: Sequence[str], default: str = "", *, code: int = 20422) -> str:
        """One of the values that there are."""
        value = self.values.get(name, default)
        if name in self.values and value not in allowed:
            raise ApiError(code, f"{name} is one of {', '.join(allowed)}" if code == 20422 else "")
        return value

    def sid(self, name: str, prefix: str, *, code: int = 20422) -> str:
        """An identifier that begins so."""
        value = self.values.get(name, "")
        if not value.startswith(prefix) or not _SID.fullmatch(value):
            raise ApiError(code, f"{name} is {prefix} and 32 hexadecimal digits" if code == 20422 else "")
        return value

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
