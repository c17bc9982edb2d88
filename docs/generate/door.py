"""The HTTP API, from the OpenAPI document that the gateway itself serves."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from docs.generate.tables import code, table
from gateway.http.openapi import document
from gateway.http.server import OPERATIONS

Json = dict[str, Any]
_PROBLEM = "[Problem](#problem)"


@cache
def _document() -> Json:
    return document("", OPERATIONS)


def operations() -> str:
    """A section for each operation, in the order of the API's table."""
    described = _document()
    return "\n\n".join(
        _operation(method.upper(), path, each)
        for path, methods in described["paths"].items()
        for method, each in methods.items()
    )


def records() -> str:
    """A section for each record, by name."""
    return "\n\n".join(_record(*each) for each in sorted(_document()["components"]["schemas"].items()))


def names() -> list[str]:
    """`METHOD /path` of every operation."""
    paths = _document()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def _operation(method: str, path: str, each: Json) -> str:
    words = f"{each['summary']} {each.get('description', 'Needs no key.')}"
    return f"### {method} {path}\n\n{words}\n\n{table(('', ''), _rows(each))}"


def _rows(each: Json) -> Iterator[tuple[str, str]]:
    if "requestBody" in each:
        yield "takes", _contents(each["requestBody"]["content"])
    for parameter in each["parameters"]:
        meaning = parameter.get("description", "an id, a whole number")
        yield f"{code(parameter['name'])} in the {parameter['in']}", meaning
    refused = []
    for status, answer in each["responses"].items():
        words = _contents(answer["content"])
        if words == _PROBLEM:
            refused.append(status)
        else:
            yield f"{status} {answer['description']}", words
    if refused:
        yield ", ".join(refused), _PROBLEM


def _contents(content: Json) -> str:
    return " or ".join(_kind(each["schema"], otherwise=media) for media, each in content.items())


def _record(name: str, schema: Json) -> str:
    words = " ".join(schema.get("description", "").split())
    if "enum" in schema:
        return f"### {name}\n\n{words}\n\nOne of {', '.join(code(each) for each in schema['enum'])}."
    rows = [
        (code(field), _kind(kind), _default(field, kind, schema))
        for field, kind in schema.get("properties", {}).items()
    ]
    return f"### {name}\n\n{words}\n\n{table(('field', 'type', 'default'), rows)}"


def _default(field: str, kind: Json, schema: Json) -> str:
    if field in schema.get("required", []):
        return "required"
    default = kind.get("default")
    simple = isinstance(default, str | int | float | bool) and default != ""
    return code(str(default).lower() if isinstance(default, bool) else default) if simple else ""


def _kind(schema: Json, otherwise: str = "anything") -> str:
    """A type in words; a record is a link to its section."""
    if name := schema.get("$ref", "").rpartition("/")[2]:
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(code(each) for each in schema["enum"])
    if isinstance(schema.get("items"), dict):
        return f"list of {_kind(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object, each value {_kind(schema['additionalProperties'])}"
    kind = schema.get("type")
    return f"{kind}{_bounds(schema)}" if kind and otherwise in {"anything", kind} else otherwise


def _bounds(schema: Json) -> str:
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "above {}",
        "minLength": "at least {} long",
        "maxLength": "at most {} long",
    }
    told = [text.format(_number(schema[bound])) for bound, text in words.items() if bound in schema]
    return f" ({', '.join(told)})" if told else ""


def _number(value: float) -> str:
    return "2^63 - 1" if value == 2**63 - 1 else f"{value:,}"
