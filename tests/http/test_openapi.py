"""The OpenAPI document says what the door does, and the page shows it without anything from outside."""

import json
import re
from typing import Any

from gateway.http.openapi import document, page
from gateway.http.server import OPERATIONS
from tests.http.house import House

DOCUMENT = document("1.2.3", OPERATIONS)


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(each) for each in node.values()))
    return set().union(*(references(each) for each in node)) if isinstance(node, list) else set()


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT)
    assert references(DOCUMENT) <= known


def test_every_operation_is_described_and_named_once() -> None:
    names = [each["operationId"] for methods in DOCUMENT["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)
    assert all(each.summary for each in OPERATIONS)


def test_what_needs_a_key_says_so() -> None:
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][operation.path][operation.method.lower()]
        needs = operation.act is not None or operation.signed_in
        assert ("security" in described) == needs


def test_the_page_tells_all_and_loads_nothing() -> None:
    text = page(DOCUMENT)
    assert all(operation.path in text for operation in OPERATIONS)
    assert all(f"id='{name}'" in text for name in DOCUMENT["components"]["schemas"])
    assert re.findall(r"(?:src|href)\s*=\s*['\"](?!#|/openapi\.json)", text) == []
    assert not re.search(r"<script|<link|@import|url\(", text)


async def test_both_are_served(house: House) -> None:
    served = await house.call("GET", "/openapi.json", key=None)
    assert (served.status, served.body["openapi"]) == (200, "3.1.0")
    assert json.dumps(served.body["paths"]).count("operationId") == len(OPERATIONS)
    shown = await house.call("GET", "/docs", key=None)
    assert (shown.status, shown.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
