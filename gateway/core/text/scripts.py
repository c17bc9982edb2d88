"""Scripts: a text with Liquid variables, compiled once and rendered for each person (features G, H).

Most scripts are words and plain variables; these become a join of ready parts. A script with tags or filters goes
through Liquid itself. What Liquid can't know is blank, never an error: the lint (gateway/core/text/lint.py) warns
before publishing.

Liquid is cut down to what gives the same text for the same person at any time: no `date` filter (it reads the
clock), no `include` or `render` (there is nothing to load), and bounds on all it does (liquid_bounds.py).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import liquid
import msgspec
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError

from gateway.core.rules.errors import BadInput, TextbankError
from gateway.core.text.link_filter import FILTER, LINK, ROOT, plain_slug, slugs_of, trackable
from gateway.core.text.liquid_bounds import (
    LONGEST_SCRIPT,
    LONGEST_VALUE,
    MOST_ITEMS,
    MOST_STATEMENTS,
    endless_range,
    environment,
)

OPT_OUT_SUFFIX = "Reply STOP to unsubscribe."
"""Added to the end of every initial when the campaign's setting is on (F012). It is on the wire: it counts (C4)."""

CONTACT_VARIABLES = ("first_name", "last_name", "full_name", "fullname", "email", "phone", "state_abbrev")
"""F095."""
CAMPAIGN_VARIABLES = (
    "campaign.name",
    "campaign.description",
    "campaign.join_code",
    "broadcast_phone_number",
)
"""F096."""
SENDER_VARIABLES = (
    "user.first_name",
    "user.last_name",
    "user.full_name",
    "user.fullname",
    "user.email",
    "user.phone",
    "user.state_abbrev",
    "user.team_code",
)
"""F097, F099. Only where a person sends (F098)."""
SERVICE_VARIABLES = (
    "impactive_check_registration_link",
    "opt_in_form.title",
    "opt_in_form.subtitle",
    "contact_referral_link",
)
"""F106, F108, F109: what a campaign's settings say of services elsewhere; the last is the contact's own address."""
CUSTOM_FIELD_PREFIX = "custom_field_"

Values = Mapping[str, str]
Lookup = Callable[[Values, Values, Values], str]
"""(contact, campaign, sender) -> a variable's text, blank when unknown."""

_NOBODY: Values = {}
_HOLE = "\0"


class ScriptFault(TextbankError):
    """A script can't be used as it is; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        self.message = message
        self.line = line
        self.column = column
        super().__init__(message, line, column)

    def __str__(self) -> str:
        return f"{self.message} (line {self.line}, column {self.column})"


class Field(msgspec.Struct, frozen=True):
    """A custom field: free text, or one of `options` (F101, F102). `slug` is without `custom_field_`."""

    slug: str
    default: str = ""
    options: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A compiled script; made by `compile_script`."""

    source: str
    variables: frozenset[str]
    """As written in the script, such as "first_name", "campaign.name", "custom_field_issue"."""
    needs_sender: bool
    opt_out_suffix: bool
    links: frozenset[str]
    """The slugs of its tracked links (F107)."""
    _fill: Lookup = field(repr=False, compare=False)

    def render(self, contact: Values, campaign: Values = _NOBODY, sender: Values | None = None) -> str:
        """The text for one person: NFC, LF, stripped, no doubled blanks where a variable was empty.

        Keys are the variables' names without `campaign.` and `user.`; a custom field's key is its slug, with or
        without `custom_field_` (C21). A tracked link's is `link:` and its slug, among the contact's. `sender` is None in a broadcast, where sender variables are a ScriptFault
        (F098). Liquid's own failures while rendering are a ScriptFault too.
        """
        if sender is None:
            if self.needs_sender:
                raise ScriptFault("a broadcast has no sender: user variables can't be used")
            sender = _NOBODY
        text = _normalised(self._fill(contact, campaign, sender))
        # A text that is blank but for the suffix is blank, and is refused as such (F040).
        if self.opt_out_suffix and text and OPT_OUT_SUFFIX[:-1].lower() not in text.lower():
            return f"{text} {OPT_OUT_SUFFIX}"
        return text


def compile_script(
    source: str,
    *,
    fields: Mapping[str, Field] | None = None,
    opt_out_suffix: bool = False,
    contact_fallback: str = "",
    sender_fallback: str = "",
) -> Script:
    """Compile a script; `fields` by slug. The fallbacks stand in for missing first and full names (F100).

    Raises ScriptFault where Liquid can't read the script, with the line and column.
    """
    source = _normalised(source, strip=False)
    template = parse(source)
    names = frozenset(_variable_names(template))
    resolver = _Resolver(fields or {}, contact_fallback.strip(), sender_fallback.strip())
    plain = _plain_parts(template.nodes, resolver)
    return Script(
        source=source,
        variables=names,
        needs_sender=any(name.split(".")[0].split("[")[0] == "user" for name in names),
        opt_out_suffix=opt_out_suffix,
        links=frozenset(slugs_of(template)),
        _fill=_liquid_fill(template, names, resolver) if plain is None else _plain_fill(plain),
    )


def draw(scripts: int, random: float) -> int:
    """Which of so many initials to send, from 0: an even draw by `random` in [0, 1) (F087)."""
    if not scripts:
        raise BadInput("no script to draw from", "initial scripts", "write at least one (F083)")
    return min(int(random * scripts), scripts - 1)


# --- text


def _normalised(text: str, *, strip: bool = True) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() if strip else text


# --- Liquid


_ENVIRONMENT = environment()
_ENVIRONMENT.filters[FILTER] = trackable


def parse(source: str) -> liquid.BoundTemplate:
    """Read a script as Liquid; raises ScriptFault, also for a filter that doesn't exist and a range without bounds."""
    _check_size(source)
    try:
        template = _ENVIRONMENT.parse(source)
        filters = template.analyze(include_partials=False).filters
        wide = endless_range(template)
        named = sum(1 for _ in slugs_of(template))
    except LiquidError as error:
        raise _fault(error, source) from error
    except RecursionError as error:
        raise ScriptFault("the script is nested too deeply") from error
    except Exception as error:  # the library's own troubles with what a script says
        raise ScriptFault(f"Liquid can't read this script ({type(error).__name__})") from error
    for name, spans in filters.items():
        if name not in _ENVIRONMENT.filters:
            raise ScriptFault(f"unknown filter '{name}'", *position(source, spans[0].index))
    if len(filters.get(FILTER, ())) > named:
        words = "write a tracked link as {{'name'|trackable}}, its name in quotes"
        raise ScriptFault(words, *position(source, filters[FILTER][0].index))
    if wide is not None:
        words = f"a range goes from one whole number to another, over {MOST_ITEMS} numbers at most"
        raise ScriptFault(words, *position(source, max(wide.token.start_index, 0)))
    return template


def _check_size(source: str) -> None:
    if len(source) > LONGEST_SCRIPT:
        raise ScriptFault(f"a script may have {LONGEST_SCRIPT} characters at most, this has {len(source)}")
    if source.count("{{") + source.count("{%") > MOST_STATEMENTS:  # each open one is looked for to the end
        raise ScriptFault(f"a script may have {MOST_STATEMENTS} variables and tags at most")


def position(source: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of a character of the source."""
    line_start = source.rfind("\n", 0, index) + 1
    return source.count("\n", 0, index) + 1, index - line_start + 1


def _fault(error: LiquidError, source: str) -> ScriptFault:
    index = error.token.start_index if error.token is not None else -1
    if index < 0:
        index = _faulty_statement(source, str(error.message))
    return ScriptFault(str(error.message), *position(source, index))


def _faulty_statement(source: str, message: str) -> int:
    """Where a fault is that Liquid reports without a place: a bad output, or a block that is never closed."""
    start, end = source.find("{{"), 0
    while start >= 0 and (end := source.find("}}", start)) >= 0:
        try:
            _ENVIRONMENT.parse(source[start : end + 2])
        except LiquidError:
            return start
        start = source.find("{{", end)
    unclosed = re.search(r"tag end(\w+)", message)
    opening = unclosed and re.search(r"\{%-?\s*" + re.escape(unclosed.group(1)) + r"\b", source)
    return opening.start() if opening else 0


def _variable_names(template: liquid.BoundTemplate) -> Iterator[str]:
    for variables in template.analyze(include_partials=False).globals.values():
        yield from map(str, variables)


# --- variables


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Turns a variable's name into the function that finds its text."""

    fields: Mapping[str, Field]
    contact_fallback: str
    sender_fallback: str

    def lookup(self, name: str) -> Lookup:
        if name in CAMPAIGN_VARIABLES:
            key = name.removeprefix("campaign.")
            return lambda contact, campaign, sender: _text(campaign, key)
        if name in SERVICE_VARIABLES:
            return lambda contact, campaign, sender: _text(contact, name) or _text(campaign, name)
        if name.startswith("user."):
            person = _person_text(name.removeprefix("user."), self.sender_fallback)
            return lambda contact, campaign, sender: person(sender)
        if name in CONTACT_VARIABLES:
            person = _person_text(name, self.contact_fallback)
            return lambda contact, campaign, sender: person(contact)
        return self._custom_field(name)

    def _custom_field(self, name: str) -> Lookup:
        """The person's value, else the field's default (F101), under either spelling (C21)."""
        slug = name.removeprefix(CUSTOM_FIELD_PREFIX)
        prefixed = CUSTOM_FIELD_PREFIX + slug
        # {{custom_field_email}} is the custom field, never the contact's e-mail.
        bare = prefixed if slug in CONTACT_VARIABLES else slug
        default = self.fields[slug].default.strip() if slug in self.fields else ""
        return lambda contact, campaign, sender: _text(contact, prefixed) or _text(contact, bare) or default


def _text(values: Values, key: str) -> str:
    value = values.get(key)
    return value.strip()[:LONGEST_VALUE] if value else ""


def _person_text(key: str, fallback: str) -> Callable[[Values], str]:
    if key == "first_name":
        return lambda person: _text(person, key) or fallback
    if key in {"full_name", "fullname"}:
        return lambda person: _full_name(person) or fallback
    return lambda person: _text(person, key)


def _full_name(person: Values) -> str:
    given = _text(person, "full_name") or _text(person, "fullname")
    return given or f"{_text(person, 'first_name')} {_text(person, 'last_name')}".strip()


# --- words and plain variables


def _plain_parts(nodes: Sequence[Node], resolver: _Resolver) -> list[str | Lookup] | None:
    """The parts of a script without tags and filters; None for any other script."""
    parts: list[str | Lookup] = []
    for node in nodes:
        if isinstance(node, ContentNode):
            parts.append(node.text)
            continue
        path, slug = plain_path(node), plain_slug(node)
        if path is not None:
            parts.append(resolver.lookup(path))
        elif slug is not None:
            parts.append(_link(slug))
        else:
            return None
    return parts


def _link(slug: str) -> Lookup:
    return lambda contact, campaign, sender: _text(contact, LINK + slug)


def plain_path(node: Node) -> str | None:
    """The variable of an output without filters, such as "campaign.name"; else None."""
    expression = node.expression if isinstance(node, OutputNode) else None
    if not isinstance(expression, FilteredExpression) or expression.filters:
        return None
    path = expression.left
    if not isinstance(path, Path) or not all(isinstance(one, str) for one in path.path):
        return None
    return ".".join(str(one) for one in path.path)


def _plain_fill(parts: Sequence[str | Lookup]) -> Lookup:
    blanks = [part if isinstance(part, str) else _HOLE for part in parts]
    lookups = [(index, part) for index, part in enumerate(parts) if not isinstance(part, str)]

    def fill(contact: Values, campaign: Values, sender: Values) -> str:
        texts = blanks.copy()
        whole = True
        for index, lookup in lookups:
            text = lookup(contact, campaign, sender)
            if text:
                texts[index] = text
            else:
                whole = False
        joined = "".join(texts)
        return joined if whole else _HOLES.sub(_close_hole, joined)

    return fill


# Blanks are looked at from their first one only: a field of 4,000 of them is passed once, not 4,000 times.
_HOLES = re.compile(rf"(?<![ \t])[ \t]*+(?:{_HOLE}[ \t]*+)++(?P<next>[,.!?;:]++(?=\s|\Z)|\n|\Z)?")


def _close_hole(hole: re.Match[str]) -> str:
    """One blank where blanks stood around nothing; none at a line's ends or before punctuation."""
    following = hole["next"]
    if following is not None:
        return following
    starts_line = hole.start() == 0 or hole.string[hole.start() - 1] == "\n"
    return "" if starts_line or not hole.group().strip(_HOLE) else " "


# --- scripts with tags or filters


def _liquid_fill(template: liquid.BoundTemplate, names: frozenset[str], resolver: _Resolver) -> Lookup:
    roots = {name.split(".")[0].split("[")[0] for name in names}
    # A whole object may be asked for by a computed key: {{ user[key] }}.
    wanted = {root for root in roots if root not in {"campaign", "user", "opt_in_form"}}
    wanted |= {name for name in CAMPAIGN_VARIABLES if name.split(".")[0] in roots}
    wanted |= {name for name in SENDER_VARIABLES if name.split(".")[0] in roots}
    wanted |= {name for name in SERVICE_VARIABLES if name.split(".")[0] in roots}
    lookups = [(name.split("."), resolver.lookup(name)) for name in sorted(wanted)]

    def fill(contact: Values, campaign: Values, sender: Values) -> str:
        own = {key.removeprefix(LINK): url for key, url in contact.items() if key.startswith(LINK)}
        namespace: dict[str, object] = {ROOT: own}
        for path, lookup in lookups:
            text = lookup(contact, campaign, sender)
            if text:  # Liquid takes "" for true: what is blank is left out, so that {% if first_name %} works
                _place(namespace, path, text)
        try:
            return _tidy(template.render(namespace))
        except LiquidError as error:
            raise _fault(error, str(error.token.source) if error.token else "") from error
        except Exception as error:  # the library's own troubles with these values
            raise ScriptFault(f"Liquid can't fill this script ({type(error).__name__})") from error

    return fill


def _place(namespace: dict[str, object], path: Sequence[str], text: str) -> None:
    for step in path[:-1]:
        inner = namespace.setdefault(step, {})
        assert isinstance(inner, dict)
        namespace = inner
    namespace[path[-1]] = text


def _tidy(text: str) -> str:
    """Close what tags without output leave; which blanks these are can't be told, so all doubled ones go."""
    text = re.sub(r"[ \t]{2,}", " ", text)
    text = re.sub(r" +(?=[,.!?;:]+(?:\s|\Z))|(?<=\n) | (?=\n)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text)
