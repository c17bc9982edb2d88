"""The OpenAPI 3.1 document, made from the operations and the records' types, and a page of it."""

from collections.abc import Iterator, Sequence
from html import escape
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gateway.core.bank.permissions import PEOPLE_ROLES, Actor, Reach
from gateway.http.access import COOKIE, WITHOUT_A_CAMPAIGN, key_role_for
from gateway.http.bodies import JSON
from gateway.http.operations import Operation
from gateway.http.problems import Problem, title_of
from gateway.http.records import LARGEST_ID, MOST_ROWS

_PROBLEM: Final = "application/problem+json"
_REF: Final = "#/components/schemas/{name}"
_ABOUT: Final = (
    "A peer-to-peer texting gateway. Every answer to a send comes after it is durable. What goes wrong is an "
    "RFC 9457 problem. Times are Unix seconds; phones are E.164."
)
Json = dict[str, Any]


def document(version: str, operations: Sequence[Operation]) -> Json:
    """The OpenAPI 3.1 document as JSON values."""
    types = [Problem, *_types(operations)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Textbank", "version": version, "description": _ABOUT},
        "servers": [{"url": "/", "description": "the gateway that serves this document"}],
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, tb_…"},
                "session": {"type": "http", "scheme": "bearer", "description": "A person's session, tbs_…"},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "A person's session in a browser. What changes something must say "
                    "Sec-Fetch-Site: same-origin, as browsers do for our own pages.",
                },
            },
        },
    }


def _types(operations: Sequence[Operation]) -> list[Any]:
    """Every record that an operation takes or gives, once."""
    named = [kind for each in operations for kind in (each.takes, *each.gives.values())]
    return list(dict.fromkeys(kind for kind in named if isinstance(kind, type)))


def _operation(operation: Operation, schemas: dict[Any, Json]) -> Json:
    described: Json = {
        "operationId": operation.handler.replace(".", "_"),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": list(_parameters(operation)),
        "responses": dict(_responses(operation, schemas)),
    }
    if operation.takes is not None:
        content: Json = {JSON: {"schema": schemas[operation.takes]}}
        if operation.also_takes:
            content[operation.also_takes] = {"schema": {"type": "string"}}
        described["requestBody"] = {"required": True, "content": content}
    described |= _callers(operation)
    return described


def _callers(operation: Operation) -> Json:
    """Who may ask for it; nothing when anybody may."""
    session: list[Json] = [{"session": []}, {"cookie": []}]
    if operation.signed_in:
        return {"security": session, "description": "Needs a session."}
    if operation.act is None:
        return {}
    words = f"Needs a key of the role {key_role_for(operation.act)}"
    least = Reach.OWN
    if "campaign_id" not in operation.ids:
        if operation.act not in WITHOUT_A_CAMPAIGN:
            return {"security": [{"key": []}], "description": f"{words}."}
        least = Reach.CAMPAIGN
    roles = [role.value for role in PEOPLE_ROLES if Actor(role).reach(operation.act) >= least]
    words = f"{words}, or a session of the campaign's {' or '.join(roles)}."
    return {"security": [{"key": []}, *session], "description": words}


def _parameters(operation: Operation) -> Iterator[Json]:
    for name in operation.ids:
        schema = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name, meaning in operation.query.items():
        yield {"name": name, "in": "query", "description": meaning, "schema": {"type": "boolean"}}
    yield from _asked(operation.asks)
    for name, meaning in operation.headers.items():
        schema = {"type": "string", "minLength": 1, "maxLength": 250}
        yield {"name": name, "in": "header", "description": meaning, "schema": schema}


def _asked(kind: Any) -> Iterator[Json]:
    """The fields of a record of the query."""
    if kind is None:
        return
    (described,), named = msgspec.json.schema_components([kind], ref_template="{name}")
    for name, schema in named[described["$ref"]]["properties"].items():
        meaning = schema.pop("description")
        whole = named[schema.pop("$ref")] | schema if "$ref" in schema else schema
        yield {"name": name, "in": "query", "description": meaning, "schema": whole}


def _responses(operation: Operation, schemas: dict[Any, Json]) -> Iterator[tuple[str, Json]]:
    is_open = operation.act is None and not operation.signed_in
    denied = () if is_open else (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    for status in sorted({*operation.gives, *operation.refuses, *denied}):
        content: Json = {}
        given = operation.gives.get(status)
        if isinstance(given, str | tuple):
            media_types = (given,) if isinstance(given, str) else given
            content |= {each: {"schema": {"type": "string"}} for each in media_types}
        elif given is not None:
            content[_PROBLEM if issubclass(given, Problem) else JSON] = {"schema": schemas[given]}
        if status in operation.refuses or status in denied:
            content[_PROBLEM] = {"schema": schemas[Problem]}
        yield str(int(status)), {"description": title_of(HTTPStatus(status)), "content": content}


# ---------------------------------------------------------------- the page

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
code,pre{font:14px/1.4 ui-monospace,monospace}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}
.path{background:#f3f4f6;padding:.4rem .6rem;border-radius:.3rem}.method{font-weight:700}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem .2rem 0;vertical-align:top}
section{margin:1.2rem 0}
@media (prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}.path{background:#24272d}}
"""


def page(described: Json) -> str:
    """The document for people: one HTML file that loads nothing else."""
    tags = [tag["name"] for tag in described["tags"]]
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(_sections(described, tag))}" for tag in tags)
    records = "".join(_record(*each) for each in sorted(described["components"]["schemas"].items()))
    about = escape(described["info"]["description"])
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Textbank API</title>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<style>{_STYLE}</style></head><body><h1>Textbank API</h1><p>{about}</p>"
        "<p>Send your key with every request: <code>Authorization: Bearer tb_…</code>. A batch has at most "
        f"{MOST_ROWS} rows. For machines: <a href='/openapi.json'>openapi.json</a>.</p>"
        f"{body}<h2>Records</h2>{records}</body></html>"
    )


def _sections(described: Json, tag: str) -> Iterator[str]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield _section(method.upper(), path, operation)


def _section(method: str, path: str, operation: Json) -> str:
    takes = operation.get("requestBody", {}).get("content", {})
    rows = [("Takes", _contents(takes))] if takes else []
    rows += [
        (parameter["name"], escape(parameter.get("description", parameter["in"])))
        for parameter in operation["parameters"]
    ]
    rows += [
        (f"{status} {answer['description']}", _contents(answer["content"]))
        for status, answer in operation["responses"].items()
    ]
    table = "".join(f"<tr><th>{escape(name)}</th><td>{words}</td></tr>" for name, words in rows)
    return (
        f"<section><p class='path'><code><span class='method'>{method}</span> {escape(path)}</code></p>"
        f"<p>{escape(operation['summary'])} {escape(operation.get('description', ''))}</p>"
        f"<table>{table}</table></section>"
    )


def _contents(content: Json) -> str:
    return ", ".join(_link(each["schema"]) or escape(media) for media, each in content.items())


def _link(schema: Json) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f"<a href='#{escape(name)}'>{escape(name)}</a>" if name else ""


def _record(name: str, schema: Json) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><th><code>{escape(field)}</code>{'' if field in required else ' (optional)'}</th>"
        f"<td>{_kind(kind)}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    values = ", ".join(escape(str(value)) for value in schema.get("enum", []))
    about = escape(schema.get("description", ""))
    return f"<section id='{escape(name)}'><h3>{escape(name)}</h3><p>{about} {values}</p><table>{rows}</table></section>"


def _kind(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "items" in schema and isinstance(schema["items"], dict):
        return f"list of {_kind(schema['items'])}"
    if "enum" in schema:
        return escape(", ".join(map(str, schema["enum"])))
    return _link(schema) or escape(str(schema.get("type", "anything")))
