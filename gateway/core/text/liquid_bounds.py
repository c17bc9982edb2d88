"""Liquid within bounds: whatever a script says, a render takes milliseconds and a few hundred kilobytes.

python-liquid limits the nesting of blocks, the turns of a loop and the output. A text needs no more than these
bounds allow, and a script that doubles a string, joins a long range or counts with large numbers meets them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from decimal import Decimal
from typing import Any, Final

import liquid
from liquid.ast import Node
from liquid.builtin.expressions.primitive import IntegerLiteral, RangeLiteral
from liquid.context import RenderContext
from liquid.exceptions import ResourceLimitError
from liquid.expression import Expression
from liquid.token import Token

LONGEST_SCRIPT: Final = 8_000
"""Characters of a script; a text has at most 1,600."""
LONGEST_VALUE: Final = 2_000
"""Characters of one person's field that a script sees: with more of them no text could be sent anyway."""
LONGEST_STRING: Final = 5_000
"""Characters of whatever a filter or an assignment makes."""
MOST_STATEMENTS: Final = 500
"""Outputs and tags of a script."""
MOST_ITEMS: Final = 200
"""Items of a list or a range."""
MOST_STEPS: Final = 1_000
"""Nodes and filters that one render may evaluate."""
LARGEST_NUMBER: Final = 10**15


def _beyond(what: str) -> ResourceLimitError:
    return ResourceLimitError(f"this script makes too much of it: {what}", token=None)


def _checked(value: object) -> object:
    """The value; raises ResourceLimitError when it is out of bounds."""
    if isinstance(value, str):
        if len(value) > LONGEST_STRING:
            raise _beyond(f"a text of more than {LONGEST_STRING} characters")
    elif isinstance(value, int | float | Decimal):
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # a NaN is out of bounds too
            raise _beyond(f"a number beyond {LARGEST_NUMBER}")
    elif isinstance(value, range | Sequence | Mapping) and _length(value) > MOST_ITEMS:
        raise _beyond(f"more than {MOST_ITEMS} items")
    return value


def _length(value: Sized) -> int:
    try:
        return len(value)
    except OverflowError:  # a range of more than 2**63
        return MOST_ITEMS + 1


def _bounded(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """The filter, its arguments and its result within bounds."""

    def within_bounds(left: object, *arguments: object, **named: object) -> object:
        for value in (left, *arguments):
            _checked(value)
            if isinstance(value, str) and name in _ARITHMETIC and "e" in value.lower():
                raise _beyond("a number written with an exponent")
        if name == "replace" and len(arguments) == 2:
            _check_replacement(str(left), *map(str, arguments))
        return _checked(function(left, *arguments, **named))

    return within_bounds


_ARITHMETIC: Final = frozenset(
    ("abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo", "plus", "round", "times")
)


def _check_replacement(text: str, old: str, new: str) -> None:
    """Before it is made: each of thousands of characters may become thousands."""
    if text.count(old) * len(new) > LONGEST_STRING:
        raise _beyond(f"a text of more than {LONGEST_STRING} characters")


class _Context(RenderContext):
    """A render that counts its steps; python-liquid asks for `disabled_tags` before each node, whatever it is."""

    __slots__ = ("_disabled_tags", "_steps")

    @property
    def disabled_tags(self) -> list[str]:
        self._step()
        return self._disabled_tags

    @disabled_tags.setter
    def disabled_tags(self, tags: list[str]) -> None:
        self._disabled_tags = tags
        self._steps = 0

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _beyond(f"more than {MOST_STEPS} steps")

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self._step()
        return _bounded(name, super().filter(name, token))

    def assign(self, key: str, val: Any) -> None:
        super().assign(key, _checked(val))

    def stopindex(self, key: str, index: int | None = None) -> int:
        """Where a loop ends; it is asked for before the loop makes a list of its items."""
        if index is not None and index > MOST_ITEMS:
            raise _beyond(f"more than {MOST_ITEMS} items")
        return super().stopindex(key, index)


class _Template(liquid.BoundTemplate):
    context_class = _Context


class _Environment(liquid.Environment):
    template_class = _Template
    block_nesting_limit = 20
    loop_iteration_limit = MOST_ITEMS
    local_namespace_limit = 200_000  # bytes
    output_stream_limit = 20_000  # bytes


def environment() -> liquid.Environment:
    """Liquid cut down to what gives the same text for the same person at any time."""
    made = _Environment()
    for tag in ("include", "render", "tablerow"):
        del made.tags[tag]
    del made.filters["date"]
    return made


def endless_range(template: liquid.BoundTemplate) -> RangeLiteral | None:
    """A range whose ends are not two whole numbers near each other, if the script has one."""
    ranges = (each for each in expressions(template, template.nodes) if isinstance(each, RangeLiteral))
    return next((each for each in ranges if not _is_short(each)), None)


def _is_short(literal: RangeLiteral) -> bool:
    start, stop = literal.start, literal.stop
    if not (isinstance(start, IntegerLiteral) and isinstance(stop, IntegerLiteral)):
        return False
    return int(stop.value) - int(start.value) < MOST_ITEMS


def expressions(template: liquid.BoundTemplate, nodes: Iterable[Node]) -> Iterator[Expression]:
    """Every expression of a script, however deep."""
    context = RenderContext(template)
    waiting: list[Node | Expression] = list(nodes)
    while waiting:  # no recursion: whoever nests deeply decides how deep
        each = waiting.pop()
        if isinstance(each, Expression):
            yield each
            waiting.extend(each.children())
        else:
            waiting.extend(each.expressions())
            waiting.extend(each.children(context, include_partials=False))
