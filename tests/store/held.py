"""Whether a statement is held to one organisation: each distributed table it touches, to its first argument."""

from collections.abc import Iterator
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType

KEY = "organisation_id"


def _tests_of(condition: ast.Node | None) -> Iterator[ast.Node]:
    """The parts of an AND."""
    if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
        for part in condition.args or ():
            yield from _tests_of(part)
    elif condition is not None:
        yield condition


def _column(node: ast.Node | None) -> tuple[str, str] | None:
    """(table or alias, column); '' when the table is not named."""
    while isinstance(node, ast.TypeCast):
        node = node.arg
    if not isinstance(node, ast.ColumnRef):
        return None
    names = [field.sval for field in node.fields if isinstance(field, ast.String)]
    return None if not names else ("", names[0]) if len(names) == 1 else (names[-2], names[-1])


def _is_first_argument(node: ast.Node | None) -> bool:
    while isinstance(node, ast.TypeCast):
        node = node.arg
    return isinstance(node, ast.ParamRef) and node.number == 1


class _Level:
    """One SELECT, INSERT, UPDATE or DELETE without those within it: its tables, and what holds them to $1."""

    def __init__(self) -> None:
        self.tables: dict[str, str] = {}  # alias -> table
        self.conditions: list[ast.Node | None] = []
        self.joined: list[set[str]] = []  # by USING

    def read(self, item: ast.Node | None) -> set[str]:
        """Takes in a part of FROM; returns its aliases."""
        if isinstance(item, ast.RangeVar):
            alias = item.alias.aliasname if item.alias else item.relname
            self.tables[alias] = item.relname
            return {alias}
        if isinstance(item, ast.JoinExpr):
            both = self.read(item.larg) | self.read(item.rarg)
            self.conditions.append(item.quals)
            if KEY in [each.sval for each in item.usingClause or ()]:
                self.joined.append(both)
            return both
        return set()

    def held(self) -> set[str]:
        """The aliases whose organisation is $1."""
        held: set[str] = set()
        for condition in self.conditions:
            for test in _tests_of(condition):
                if (
                    isinstance(test, ast.A_Expr)
                    and test.kind == A_Expr_Kind.AEXPR_OP
                    and test.name[0].sval == "="
                ):
                    self._test(test, held)
        while more := [group for group in self.joined if group & held and not group <= held]:
            for group in more:
                held |= group
        return held

    def _test(self, test: ast.A_Expr, held: set[str]) -> None:
        left, right = _column(test.lexpr), _column(test.rexpr)
        if left and right and left[1] == right[1] == KEY:
            self.joined.append({left[0], right[0]})
        for column, other in ((left, test.rexpr), (right, test.lexpr)):
            if column and column[1] == KEY and _is_first_argument(other):
                held |= {column[0]} if column[0] else set(self.tables) if len(self.tables) == 1 else set()


def loose(sql: str, distributed: set[str]) -> list[str]:
    """The distributed tables that a statement touches without naming their organisation as its $1."""
    nodes = [node for raw in parse_sql(sql) for node in _walk(raw)]
    ours = distributed - {node.ctename for node in nodes if isinstance(node, ast.CommonTableExpr)}
    found: set[str] = set()
    for node in nodes:
        level = _level_of(node)
        found |= {
            table for alias, table in level.tables.items() if table in ours and alias not in level.held()
        }
        if isinstance(node, ast.InsertStmt) and node.relation.relname in ours:
            found |= set(_loose_insert(node))
    return sorted(found)


def _walk(node: object) -> Iterator[Any]:
    if isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from _walk(getattr(node, name))
    elif isinstance(node, tuple):
        for each in node:
            yield from _walk(each)


def _level_of(node: object) -> _Level:
    level = _Level()
    if isinstance(node, ast.SelectStmt):
        items = node.fromClause or ()
    elif isinstance(node, ast.UpdateStmt):
        items = (node.relation, *(node.fromClause or ()))
    elif isinstance(node, ast.DeleteStmt):
        items = (node.relation, *(node.usingClause or ()))
    else:
        return level
    for item in items:
        level.read(item)
    level.conditions.append(node.whereClause)
    return level


def _loose_insert(node: ast.InsertStmt) -> Iterator[str]:
    names = [each.name for each in node.cols or ()]
    rows = _rows(node.selectStmt) if KEY in names else []
    if not rows or not all(_is_held(row[names.index(KEY)], node.selectStmt) for row in rows):
        yield str(node.relation.relname)
    infer = None if node.onConflictClause is None else node.onConflictClause.infer
    if infer is not None and KEY not in [each.name for each in infer.indexElems or ()]:
        yield f"{node.relation.relname} ON CONFLICT"


def _is_held(value: ast.Node, source: ast.SelectStmt) -> bool:
    """$1, or the organisation of a table that is held to it."""
    column, level = _column(value), _level_of(source)
    if column is None or column[1] != KEY:
        return _is_first_argument(value)
    return column[0] in level.held() or (not column[0] and len(level.tables) == 1 and bool(level.held()))


def _rows(source: ast.SelectStmt) -> list[list[ast.Node]]:
    if source.valuesLists:
        return [list(row) for row in source.valuesLists]
    return [[target.val for target in source.targetList or ()]]
