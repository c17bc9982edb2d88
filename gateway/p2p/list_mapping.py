"""What a list's owner says a column holds, where its header does not say it, or says something else (C21)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.core.rules.errors import BadInput
from gateway.p2p.list_files import ListFile

IGNORE: Final = "ignore"
_FIELDS: Final[Mapping[str, str]] = {
    "phone": "phone",
    "first_name": "first name",
    "last_name": "last name",
    "full_name": "full name",
    "email": "email",
    "zip": "zip",
    "state": "state",
    "assignee": "assignee",
    "line_type": "line type",
    "carrier": "carrier",
    "opt_out": "opted out",
    "opt_in": "opted in",
    IGNORE: "",
}
_CUSTOM_FIELD: Final = re.compile(r"custom_field_\w{1,100}")


def read_mapping(texts: Iterable[str]) -> dict[str, str]:
    """`HEADER=FIELD`, each: by the header, case folded, the header as which it is read. Raises BadInput.

    A header may have an equals sign in it.
    """
    mapping = {}
    for text in texts:
        header, _, field = text.rpartition("=")
        if not header.strip() or (field not in _FIELDS and not _CUSTOM_FIELD.fullmatch(field)):
            fields = ", ".join((*_FIELDS, "custom_field_…"))
            raise BadInput(f"'{text}' maps no column", "map", f"write HEADER=FIELD, FIELD one of {fields}")
        mapping[header.strip().casefold()] = _FIELDS.get(field, field)
    return mapping


def require_columns(file: ListFile, mapping: Mapping[str, str]) -> None:
    """Raises BadInput for a header that is mapped and not there: a misspelt one must not go unnoticed."""
    there = {header.casefold() for header in file.columns.headers}
    for header in mapping:
        if header not in there:
            headers = ", ".join(filter(None, file.columns.headers))
            raise BadInput(f"no column is called '{header}'", str(file.path), f"the list has {headers}")
