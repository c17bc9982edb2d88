"""In which form an answer goes out: JSON, XML or CSV (twilio.com/docs/usage/twilios-response).

The API of 2010 gives XML unless an address ends in `.json` or `.csv`; the later products speak JSON alone.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from xml.sax.saxutils import escape, quoteattr

import orjson

EXTENSIONS = ("json", "xml", "csv")
_API_2010 = "/2010-04-01/"
_TYPES = {"json": "application/json", "xml": "application/xml", "csv": "text/csv"}
_PAGING = (
    "page",
    "page_size",
    "start",
    "end",
    "uri",
    "first_page_uri",
    "next_page_uri",
    "previous_page_uri",
)
_ERROR = "RestException"
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def divided(path: str) -> tuple[str, str]:
    """An address without its extension, and the extension; empty when it has none."""
    bare, dot, extension = path.rpartition(".")
    return (bare, extension) if dot and extension in EXTENSIONS else (path, "")


def form_of(path: str) -> str:
    """json, xml or csv."""
    if not path.startswith(_API_2010):
        return "json"
    return divided(path)[1] or "xml"


def content_type(form: str) -> str:
    return _TYPES[form]


def written(answer: Mapping[str, object], element: str, form: str) -> bytes:
    """A resource or a list of them; `element` is what one is called in XML."""
    if form == "json":
        return orjson.dumps(answer)
    key = _list_key(answer)
    if form == "csv":
        rows = answer[key] if key else [answer]
        return _csv(rows if isinstance(rows, list) else []).encode("utf-8", "replace")
    content = _xml_list(answer, key, element) if key else _xml(element, answer)
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<TwilioResponse>{content}</TwilioResponse>'
    return document.encode("utf-8", "replace")


def written_error(body: Mapping[str, object], form: str) -> bytes:
    """The body of an error."""
    return written(body, _ERROR, form)


def _list_key(answer: Mapping[str, object]) -> str:
    """Under which name the rows of a list stand; empty for a single resource."""
    return next((key for key, rows in answer.items() if isinstance(rows, list)), "")


def _xml_list(answer: Mapping[str, object], key: str, element: str) -> str:
    attributes = "".join(
        f" {name.replace('_', '')}={quoteattr(_text(answer[name], 'xml'))}"
        for name in _PAGING
        if name in answer
    )
    rows = answer[key]
    assert isinstance(rows, list)
    content = "".join(_xml(element, row) for row in rows)
    return f"<{_camel(key)}{attributes}>{content}</{_camel(key)}>"


def _xml(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        content = "".join(_xml(_camel(key), inner) for key, inner in value.items())
    elif isinstance(value, list):
        content = "".join(_xml(name.removesuffix("s"), inner) for inner in value)
    else:
        content = escape(_NOT_IN_XML.sub("", _text(value, "xml")))
    return f"<{name}>{content}</{name}>" if content else f"<{name}/>"


def _csv(rows: Iterable[Mapping[str, object]]) -> str:
    """A header row, then one row each; what is nested is JSON in its cell."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for nth, row in enumerate(rows):
        if not nth:
            writer.writerow(map(_camel, row))
        writer.writerow(_cell(value) for value in row.values())
    return file.getvalue()


def _cell(value: object) -> str:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else _text(value, "csv")


def _text(value: object, form: str) -> str:
    """A plain value; addresses of the API lead to the same form again."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if text.startswith(_API_2010):
        return text.replace(".json", "" if form == "xml" else f".{form}", 1)
    return text


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
