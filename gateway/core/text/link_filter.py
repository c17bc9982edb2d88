"""Tracked links in scripts (F107): `{{'SLUG'|trackable}}` becomes the address that the text's own person gets.

The addresses are handed in with the contact's values, under `LINK + slug`: what a link is worth for whom is decided
elsewhere, and a script says the same for the same values at any time.
"""

from collections.abc import Iterator
from typing import Final

import liquid
from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions.primitive import StringLiteral
from liquid.builtin.output import OutputNode
from liquid.filter import with_context

from gateway.core.text.liquid_bounds import expressions

FILTER: Final = "trackable"
LINK: Final = "link:"
ROOT: Final = "\0links"
"""Where a render finds its links: no script can write this name."""


@with_context
def trackable(slug: object, *, context: RenderContext) -> str:
    """The address of the person's own link; blank where there is none."""
    links = context.resolve(ROOT, default={})
    return links.get(str(slug), "") if isinstance(links, dict) else ""


def slugs_of(template: liquid.BoundTemplate) -> Iterator[str]:
    """The links that a script names."""
    for each in expressions(template, template.nodes):
        slug = _slug_of(each)
        if slug is not None:
            yield slug


def plain_slug(node: Node) -> str | None:
    """The link of an output that is nothing but `'SLUG' | trackable`; else None."""
    expression = node.expression if isinstance(node, OutputNode) else None
    if isinstance(expression, FilteredExpression) and len(expression.filters or ()) == 1:
        return _slug_of(expression)
    return None


def _slug_of(expression: object) -> str | None:
    if not isinstance(expression, FilteredExpression) or not expression.filters:
        return None
    first, left = expression.filters[0], expression.left
    if first.name != FILTER or first.args or not isinstance(left, StringLiteral):
        return None
    return left.value
