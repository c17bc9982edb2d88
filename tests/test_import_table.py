"""The contract that guards the import table: it breaks where it should, and only there."""

import pytest
from grimp import ImportGraph

from tests.import_table import MayImport

ROW = {
    "part": ["house.core", "house.clock"],
    "apart_from": ["house.core.door"],
    "may_import": ["house.base", "msgspec"],
    "never": ["house.base.secret"],
}


def kept(importer: str, imported: str, **narrower: list[str]) -> bool:
    graph = ImportGraph()
    graph.add_module(importer)
    graph.add_module(imported)
    graph.add_import(importer=importer, imported=imported, line_number=3, line_contents=f"import {imported}")
    options = {**ROW, **narrower, "name": "row", "type": "may_import"}
    contract = MayImport(name="row", session_options={"root_packages": ["house"]}, contract_options=options)
    return bool(contract.check(graph=graph, verbose=False).kept)


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("house.core.a", "house.core.b", True),
        ("house.core.a", "house.clock", True),
        ("house.core.a", "msgspec", True),
        ("house.core.a", "house.base.records", True),
        ("house.core.a", "datetime", True),
        ("house.core.a", "house.base.secret", False),
        ("house.core.a", "house.basement", False),
        ("house.core.a", "house.store", False),
        ("house.core.a", "numpy", False),
        ("house.core.a", "house.core.door", False),
        ("house.core.door", "numpy", True),
        ("house.store", "numpy", True),
        ("house.coredump", "numpy", True),
    ],
)
def test_a_row_keeps_its_part_to_what_it_names(importer: str, imported: str, expected: bool) -> None:
    assert kept(importer, imported) is expected


@pytest.mark.parametrize(
    ("imported", "expected"), [("datetime", True), ("asyncio", False), ("msgspec", True)]
)
def test_the_standard_library_can_be_narrowed(imported: str, expected: bool) -> None:
    assert kept("house.core.a", imported, standard_library=["datetime"]) is expected
