"""The contract behind the import table in pyproject.toml: a row names what a part may import.

import-linter's own contracts say what is forbidden and need every module to exist. The design's table
says what is allowed, so a new room or a new library has to be let in on purpose.
"""

import sys
from collections.abc import Iterator
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class MayImport(Contract):  # type: ignore[misc]
    """Every import that leaves the part is named in `may_import`, or is of the standard library.

    `apart_from` lists modules inside the part that have a row of their own; `never` wins over `may_import`;
    `standard_library`, when given, narrows the standard library to the modules it lists.
    """

    type_name = "may_import"

    part = fields.ListField(subfield=fields.StringField())
    may_import = fields.ListField(subfield=fields.StringField())
    apart_from = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    never = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    standard_library = fields.ListField(subfield=fields.StringField(), required=False, default=None)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        broken = [
            detail
            for importer in sorted(graph.modules)
            if self._in_part(importer)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not self._allowed(imported)
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for detail in check.metadata["broken"]:
            output.print_error(
                f"{detail['importer']} may not import {detail['imported']} (line {detail['line_number']}): "
                f"{detail['line_contents']}"
            )

    def _in_part(self, module: str) -> bool:
        return _within(module, self.part) and not _within(module, self.apart_from)

    def _allowed(self, imported: str) -> bool:
        if _within(imported, self.never):
            return False
        if self._in_part(imported) or _within(imported, self.may_import):
            return True
        room = imported.partition(".")[0]
        if self.standard_library is not None:
            return room in self.standard_library
        return room in sys.stdlib_module_names


def _within(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def rows(pyproject: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of the import table, from a parsed pyproject.toml."""
    yield from pyproject["tool"]["importlinter"]["contracts"]
