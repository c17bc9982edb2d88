"""Every statement that gateway/store can send, by the name of the constant or function that holds it."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import gateway.store

SQL = re.compile(r"\s*(?:WITH(?! \()|SELECT|INSERT INTO|UPDATE|DELETE FROM)\s")


class Statement(NamedTuple):
    """A statement, and where it stands: `claims._CLAIM`, `campaigns.pause`."""

    where: str
    sql: str


def statements() -> Iterator[Statement]:
    """Of each module: its constants as they are put together, and what stands within its functions."""
    for info in pkgutil.iter_modules(gateway.store.__path__):
        if not info.ispkg:
            yield from _statements_of(importlib.import_module(f"gateway.store.{info.name}"))


def _statements_of(module: ModuleType) -> Iterator[Statement]:
    name = module.__name__.removeprefix("gateway.store.")
    for constant, value in vars(module).items():
        if isinstance(value, str) and SQL.match(value) and "{" not in value:
            yield Statement(f"{name}.{constant}", value)
        elif isinstance(value, dict):
            for number, each in enumerate(value.values()):
                if isinstance(each, str) and SQL.match(each):
                    yield Statement(f"{name}.{constant}[{number}]", each)
    assert module.__file__ is not None
    for outer in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            for sql in _texts(outer, module):
                if SQL.match(sql):
                    yield Statement(f"{name}.{outer.name}", sql)


def _texts(function: ast.AST, module: ModuleType) -> Iterator[str]:
    """The texts within a function, put together as far as the module's names go."""
    within: set[ast.AST] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            yield str(_evaluated(node, module))
        elif isinstance(node, ast.JoinedStr):
            within |= set(ast.walk(node))
            yield "".join(_part(each, module) for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in within:
            yield node.value


def _part(node: ast.expr, module: ModuleType) -> str:
    if isinstance(node, ast.FormattedValue):
        return str(_evaluated(node.value, module))
    assert isinstance(node, ast.Constant)
    return str(node.value)


def _evaluated(node: ast.expr, module: ModuleType) -> object:
    """What it is worth; what only the function knows is some name."""
    try:
        return eval(compile(ast.Expression(node), module.__name__, "eval"), vars(module))  # noqa: S307 - our own source
    except NameError:
        return "some_name"
