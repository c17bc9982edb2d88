"""What is wrong with a script before anybody is texted: C10, C21, F091–F094, F098, F104.

An error blocks publishing; a warning is shown. Rules that concern what a person reads look at renderings, for real
people of the list where given, since a value can bring in a link or a branch can drop the opt-out wording.
"""

import difflib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib.resources import files

import msgspec
from liquid.ast import Node
from liquid.builtin.output import OutputNode

from gateway.core.text.consent import STOP_KEYWORDS
from gateway.core.text.link_filter import LINK
from gateway.core.text.scripts import (
    CAMPAIGN_VARIABLES,
    CONTACT_VARIABLES,
    CUSTOM_FIELD_PREFIX,
    SENDER_VARIABLES,
    SERVICE_VARIABLES,
    Field,
    Script,
    ScriptFault,
    Values,
    compile_script,
    parse,
    plain_path,
    position,
)


class Severity(StrEnum):
    """An error blocks publishing (C10); a warning doesn't."""

    ERROR = "error"
    WARNING = "warning"


class Finding(msgspec.Struct, frozen=True):
    """One thing to mend: `rule` is a stable name, `message` says what to do, line and column count from 1."""

    severity: Severity
    rule: str
    message: str
    line: int = 1
    column: int = 1


EXAMPLE_LINK = "https://links.example.org/AAECAwQFBgcICQoLDA0ODw"
"""As long as a person's tracked link is."""
EXAMPLE_CONTACT: Values = {
    "first_name": "Alexandra",
    "last_name": "Rodriguez",
    "email": "alexandra@example.org",
    "phone": "+12155550123",
    "state_abbrev": "PA",
}
EXAMPLE_CAMPAIGN: Values = {
    "name": "Our Campaign",
    "description": "A campaign for all of us",
    "join_code": "123456",
    "broadcast_phone_number": "+12155550100",
}
EXAMPLE_SENDER: Values = {
    "first_name": "Jordan",
    "last_name": "Lee",
    "email": "jordan@example.org",
    "phone": "+12155550199",
    "state_abbrev": "PA",
    "team_code": "TEAM1",
}


class _Subject(msgspec.Struct, frozen=True):
    """A script that compiles, and everything the rules ask about it."""

    source: str
    script: Script
    fields: Mapping[str, Field]
    sample: Sequence[Values]
    texts: Sequence[str]
    initial: bool
    broadcast: bool
    contact_fallback: str
    sender_fallback: str
    campaign: Values
    links: Container[str]


def lint(
    source: str,
    *,
    fields: Mapping[str, Field],
    contacts_sample: Sequence[Values] = (),
    opt_out_suffix: bool = False,
    max_segments: int = 3,
    measure: Callable[[str], int] | None = None,
    initial: bool = True,
    broadcast: bool = False,
    contact_fallback: str = "",
    sender_fallback: str = "",
    campaign: Values = EXAMPLE_CAMPAIGN,
    sender: Values = EXAMPLE_SENDER,
    links: Container[str] = (),
) -> list[Finding]:
    """Everything to mend in a script, in the order of its lines; none means it may be published.

    `measure` gives a text's segments; without it the length isn't judged. `initial` is false for response scripts,
    which need no opt-out wording and may carry links. `links`: the slugs of the campaign's tracked links. Never raises: Liquid faults are findings.
    """
    try:
        script = compile_script(
            source,
            fields=fields,
            opt_out_suffix=opt_out_suffix,
            contact_fallback=contact_fallback,
            sender_fallback=sender_fallback,
        )
        known = {LINK + slug: EXAMPLE_LINK for slug in script.links}
        people = [{**known, **one} if known else one for one in contacts_sample or (EXAMPLE_CONTACT,)]
        texts = [script.render(one, campaign, sender) for one in people]
    except ScriptFault as fault:
        return [Finding(Severity.ERROR, "syntax", fault.message, fault.line, fault.column)]
    subject = _Subject(
        source=script.source,
        script=script,
        fields=fields,
        sample=contacts_sample,
        texts=texts,
        initial=initial,
        broadcast=broadcast,
        contact_fallback=contact_fallback,
        sender_fallback=sender_fallback,
        campaign=campaign,
        links=links,
    )
    findings = [finding for rule in _RULES for finding in rule(subject)]
    if measure is not None:
        findings += _over_long([measure(text) for text in texts], max_segments)
    return sorted(findings, key=lambda one: (one.line, one.column, one.rule))


def _found(severity: Severity, rule: str, message: str, source: str, index: int) -> Finding:
    return Finding(severity, rule, message, *position(source, max(index, 0)))


# --- variables


def _known(name: str, fields: Mapping[str, Field]) -> bool:
    built_in = (*CONTACT_VARIABLES, *CAMPAIGN_VARIABLES, *SENDER_VARIABLES)
    return name in built_in or name.removeprefix(CUSTOM_FIELD_PREFIX) in fields


def _variable_places(source: str) -> list[tuple[str, int]]:
    template = parse(source)
    found = template.analyze(include_partials=False).globals.values()
    return sorted(((str(one), one.span.index) for some in found for one in some), key=lambda place: place[1])


def _unknown_variables(subject: _Subject) -> Iterator[Finding]:
    """F104, C21."""
    for name, index in _variable_places(subject.source):
        if name in SERVICE_VARIABLES:
            yield from _unavailable(subject, name, index)
        elif not _known(name, subject.fields):
            message = f"no variable is called {{{{{name}}}}}{_suggestion(name, subject.fields)}"
            yield _found(Severity.ERROR, "unknown-variable", message, subject.source, index)


def _unavailable(subject: _Subject, name: str, index: int) -> Iterator[Finding]:
    """F106, F108, F109: what the campaign's settings don't say; a referral link is for those who have opted in."""
    if name not in subject.campaign:
        message = f"{{{{{name}}}}} is not available here; take it out"
    elif name == "contact_referral_link" and subject.initial:
        message = f"{{{{{name}}}}} belongs into answers to people who have opted in; take it out"
    else:
        return
    yield _found(Severity.ERROR, "unavailable-variable", message, subject.source, index)


def _unknown_links(subject: _Subject) -> Iterator[Finding]:
    """F107."""
    for slug in sorted(subject.script.links):
        if slug not in subject.links:
            message = f"no link is called '{slug}'; make it, or correct the name"
            yield _found(Severity.ERROR, "unknown-link", message, subject.source, subject.source.find(slug))


def _suggestion(name: str, fields: Mapping[str, Field]) -> str:
    known = [*CONTACT_VARIABLES, *CAMPAIGN_VARIABLES, *SENDER_VARIABLES, *sorted(fields)]
    asked = name.lower().removeprefix(CUSTOM_FIELD_PREFIX).replace("-", "_")
    # {{contact.first_name}}, {{voter.last_name}}: the last step is often right.
    for candidate in (asked, asked.rsplit(".", 1)[-1]):
        nearest = difflib.get_close_matches(candidate, known, n=1, cutoff=0.6)
        if nearest:
            return f"; did you mean {{{{{nearest[0]}}}}}?"
    return "; add the custom field, or correct the name"


def _sender_in_broadcast(subject: _Subject) -> Iterator[Finding]:
    """F098."""
    if not subject.broadcast:
        return
    for name, index in _variable_places(subject.source):
        if name.split(".")[0].split("[")[0] == "user":
            message = f"a broadcast has no sender: take out {{{{{name}}}}}"
            yield _found(Severity.ERROR, "sender-in-broadcast", message, subject.source, index)


def _possible_blanks(subject: _Subject) -> Iterator[Finding]:
    """F100, F101, F104: a plain variable without a fallback or default; a tag around it, or `default`, is a guard."""
    for name, index in _unguarded(parse(subject.source).nodes):
        if not _known(name, subject.fields) or not _may_be_blank(name, subject):
            continue
        blank = _blank_count(name, subject)
        if blank == 0:
            continue
        whom = f"{blank} of {len(subject.sample)} people looked at" if blank else "some people"
        message = f"{{{{{name}}}}} is blank for {whom}; give it a fallback or a default"
        yield _found(Severity.WARNING, "possible-blank", message, subject.source, index)


def _unguarded(nodes: Iterable[Node]) -> Iterator[tuple[str, int]]:
    for node in nodes:
        name = plain_path(node)
        if name is not None and isinstance(node, OutputNode):
            yield name, node.token.start_index


def _may_be_blank(name: str, subject: _Subject) -> bool:
    if name in CAMPAIGN_VARIABLES or name == "phone":
        return False
    names_a_person = name.removeprefix("user.") in {"first_name", "full_name", "fullname"}
    if name.startswith("user."):
        return not (names_a_person and subject.sender_fallback.strip())
    if name in CONTACT_VARIABLES:
        return not (names_a_person and subject.contact_fallback.strip())
    return not subject.fields[name.removeprefix(CUSTOM_FIELD_PREFIX)].default.strip()


def _blank_count(name: str, subject: _Subject) -> int | None:
    """How many people of the sample have nothing there; None when that can't be told."""
    if not subject.sample or name.startswith("user."):
        return None
    alone = compile_script(
        f"{{{{{name}}}}}", fields=subject.fields, contact_fallback=subject.contact_fallback
    )
    return sum(not alone.render(one) for one in subject.sample)


_BLANK_TEST = re.compile(r"(?:==|!=)\s*(?:blank\b|empty\b|''|\"\")")
_TAG = re.compile(r"\{%.*?%\}", re.DOTALL)


def _blank_tests(subject: _Subject) -> Iterator[Finding]:
    """A blank variable is no value at all, so a comparison with an empty text goes wrong."""
    for tag in _TAG.finditer(subject.source):
        test = _BLANK_TEST.search(tag.group())
        if test:
            message = "ask for a blank with {% if first_name %} or {% unless first_name %}, not with == or !="
            yield _found(Severity.ERROR, "blank-test", message, subject.source, tag.start() + test.start())


_STATEMENT = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SINGLE_BRACES = re.compile(
    r"(?<!\{)\{\s*([\w.-]+)\s*\}(?!\})|\[\[?\s*([\w.-]+)\s*\]\]?|<<?\s*([\w.-]+)\s*>>?"
)


def _wrong_braces(subject: _Subject) -> Iterator[Finding]:
    """F104: {first_name} is sent as it stands."""
    words_only = _STATEMENT.sub(lambda statement: " " * len(statement.group()), subject.source)
    for token in _SINGLE_BRACES.finditer(words_only):
        name = next(filter(None, token.groups())).lower()
        if _known(name, subject.fields):
            message = f"{token.group()} would be sent as it stands; write {{{{{name}}}}}"
            yield _found(Severity.ERROR, "wrong-braces", message, subject.source, token.start())


# --- what a person reads

_KEYWORD = "|".join(
    sorted((re.escape(word).replace(r"\ ", "[- ]?") for word in STOP_KEYWORDS), key=len, reverse=True)
)
_QUOTE = r"[\"'“”‘’«»*]?"
_INSTRUCTION = re.compile(
    # "Reply STOP …", "text back the word 'stop'", "Responda ALTO", "Envíe la palabra PARAR"
    r"\b(?:reply|respond|text|txt|send|type|answer|msg|message|write"
    r"|responda|responde|responder|conteste|contesta|env[ií]e|env[ií]a|enviar|escriba|escribe|mande|manda|texto|textee)"
    r"(?: us| back| with| the| word| a| message| saying| con| la| palabra| al| nos|:)*"
    rf"\s+{_QUOTE}(?:{_KEYWORD}){_QUOTE}(?!\w)"
    # "STOP to opt out", "Stop=unsubscribe", "ALTO para no recibir más"
    rf"|(?<!\w){_QUOTE}(?:{_KEYWORD}){_QUOTE}\s*(?:to|2|=|para|:|and we will)\s*"
    r"(?:be |get |darse |ser )?(?:opt[- ]?out|unsubscribe|unsub|removed?\b|no longer|cancelar|desuscribir|dejar|darse|salir|no recibir|baja|terminar)",
    re.IGNORECASE,
)
# In capitals only: "stop to end the cuts" is politics.
_SHORT_INSTRUCTION = re.compile(
    rf"(?<!\w)(?:STOP|Stop){_QUOTE}\s*(?:to|2|=)\s*(?:end|quit|stop|cancel)\b(?!\s+the)", re.IGNORECASE
)
_CAPITALS = re.compile(r"STOP|Stop\s*(?:2|=)")


def has_opt_out_wording(text: str) -> bool:
    """Whether a text tells how to opt out with a keyword that `consent.read` honours (C10, F093)."""
    short = _SHORT_INSTRUCTION.search(text)
    return bool(_INSTRUCTION.search(text) or (short and _CAPITALS.match(short.group())))


def _opt_out_wording(subject: _Subject) -> Iterator[Finding]:
    """C10, F093, F094; the suffix counts, since it is part of the rendering."""
    if subject.initial and not all(map(has_opt_out_wording, subject.texts)):
        message = 'say how to opt out, such as "Reply STOP to unsubscribe.", or turn the suffix on'
        yield Finding(Severity.ERROR, "missing-opt-out", message)


class _Shorteners(msgspec.Struct, frozen=True):
    about: list[str]
    domains: list[str]


SHORTENERS: Sequence[str] = msgspec.json.decode(
    (files("gateway.core") / "data" / "shorteners.json").read_bytes(), type=_Shorteners
).domains
_SHORTENER = re.compile(
    r"(?<![\w-])(?:"
    + "|".join(map(re.escape, sorted(SHORTENERS, key=len, reverse=True)))
    + r")(?![\w-]|\.\w)",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"https?://\S+|\bwww\.\S+"
    r"|(?<![@\w.-])(?:[a-z0-9][a-z0-9-]*\.)+"
    r"(?:com|org|net|us|gov|edu|vote|io|co|info|me|news|app|page|link|gop|democrat|win|fund|live|ly|to|gl|gd|cc)"
    r"(?![\w-]|\.\w)(?:/\S*)?",
    re.IGNORECASE,
)


def _links(subject: _Subject) -> Iterator[Finding]:
    """F091, F092: a shortener is refused by carriers anywhere; a link in the first message is risky."""
    shortener = _first_place(_SHORTENER, subject)
    if shortener:
        message = f"carriers refuse the public link shortener {shortener[0]}; use the campaign's own domain"
        yield _found(Severity.ERROR, "shortener", message, subject.source, shortener[1])
    link = _first_place(_LINK, subject) if subject.initial else None
    if link:
        message = f"a link in a first message is filtered more often: {link[0]}"
        yield _found(Severity.WARNING, "link-in-initial", message, subject.source, link[1])


def _first_place(pattern: re.Pattern[str], subject: _Subject) -> tuple[str, int] | None:
    """The first match and its place in the script, or place 0 when a person's value brought it in."""
    for text in (subject.source, *subject.texts):
        match = pattern.search(text)
        if match:
            return match.group(), match.start() if text is subject.source else 0
    return None


def _blank_text(subject: _Subject) -> Iterator[Finding]:
    """F040: a text without words is refused as 1002."""
    if not all(subject.texts):
        yield Finding(Severity.ERROR, "blank-text", "the script gives an empty text; write something")


def _over_long(segments: Sequence[int], max_segments: int) -> Iterator[Finding]:
    shortest, longest = min(segments), max(segments)
    if longest > max_segments:
        spread = str(longest) if shortest == longest else f"{shortest} to {longest}"
        message = f"{spread} segments a person, each is paid; {max_segments} at most are advised"
        yield Finding(Severity.WARNING, "over-long", message)


_RULES: tuple[Callable[[_Subject], Iterator[Finding]], ...] = (
    _unknown_variables,
    _unknown_links,
    _sender_in_broadcast,
    _possible_blanks,
    _blank_tests,
    _wrong_braces,
    _opt_out_wording,
    _links,
    _blank_text,
)
