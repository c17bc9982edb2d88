"""Scripts and their lint (features G, H; C10, C21)."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.rules.errors import BadInput
from gateway.core.text.consent import STOP_KEYWORDS, Intent, read
from gateway.core.text.lint import Severity, has_opt_out_wording, lint
from gateway.core.text.scripts import OPT_OUT_SUFFIX, Field, ScriptFault, compile_script, draw

FIELDS = {
    "issue": Field("issue", default="schools"),
    "remind_a_friend": Field("remind_a_friend"),
    "email": Field("email"),
}
MARIA = {
    "first_name": "Maria",
    "last_name": "Lopez",
    "email": "maria@example.org",
    "phone": "+12155550123",
    "state_abbrev": "PA",
    "custom_field_issue": "water",
    "remind_a_friend": "Ann",
    "custom_field_email": "other@example.org",
}
CAMPAIGN = {
    "name": "Vote 2026",
    "description": "All of us",
    "join_code": "123456",
    "broadcast_phone_number": "+12155550100",
}
SAM = {
    "first_name": "Sam",
    "last_name": "Lee",
    "email": "sam@example.org",
    "phone": "+12155550199",
    "team_code": "T1",
}


def render(source: str, contact: dict[str, str] = MARIA, **settings: object) -> str:
    return compile_script(source, fields=FIELDS, **settings).render(contact, CAMPAIGN, SAM)


VARIABLES = [
    ("{{first_name}}", "Maria"),
    ("{{ last_name }}", "Lopez"),
    ("{{full_name}}", "Maria Lopez"),
    ("{{fullname}}", "Maria Lopez"),
    ("{{email}}", "maria@example.org"),
    ("{{phone}}", "+12155550123"),
    ("{{state_abbrev}}", "PA"),
    ("{{campaign.name}}", "Vote 2026"),
    ("{{campaign.description}}", "All of us"),
    ("{{campaign.join_code}}", "123456"),
    ("{{broadcast_phone_number}}", "+12155550100"),
    ("{{user.first_name}}", "Sam"),
    ("{{user.last_name}}", "Lee"),
    ("{{user.full_name}}", "Sam Lee"),
    ("{{user.fullname}}", "Sam Lee"),
    ("{{user.email}}", "sam@example.org"),
    ("{{user.phone}}", "+12155550199"),
    ("{{user.team_code}}", "T1"),
    ("{{issue}}", "water"),
    ("{{custom_field_issue}}", "water"),
    ("{{remind_a_friend}}", "Ann"),
    ("{{custom_field_remind_a_friend}}", "Ann"),
    ("{{custom_field_email}}", "other@example.org"),
    ("{{no_such_variable}}", ""),
    ("{{no.such.variable}}", ""),
]
# Each variable must give the same through the join of parts and through Liquid itself.
THROUGH_LIQUID = "{% if true %}%s{% endif %}"


@pytest.mark.parametrize(("source", "expected"), VARIABLES)
def test_variables(source: str, expected: str) -> None:
    """F089, F095, F097, F101, F105."""
    assert render(source) == expected
    assert render(THROUGH_LIQUID.replace("%s", source)) == expected


@pytest.mark.parametrize("wrapping", ["%s", THROUGH_LIQUID])
def test_fallbacks_and_defaults_stand_in_for_what_is_missing(wrapping: str) -> None:
    """F100."""
    source = wrapping.replace(
        "%s", "{{first_name}}|{{full_name}}|{{last_name}}|{{issue}}|{{user.first_name}}"
    )
    script = compile_script(source, fields=FIELDS, contact_fallback="friend", sender_fallback="a volunteer")
    assert script.render({}, {}, {}) == "friend|friend||schools|a volunteer"
    assert script.render({"first_name": " "}, {}, {}) == "friend|friend||schools|a volunteer"
    assert script.render({"last_name": "Lopez", "issue": "roads"}, {}, SAM) == "friend|Lopez|Lopez|roads|Sam"


BLANKS = [
    ("Hi {{last_name}} there", "Hi there"),
    ("Hi {{last_name}}, there", "Hi, there"),
    ("Hi {{last_name}}!! there", "Hi!! there"),
    ("Hi {{last_name}} {{email}} there", "Hi there"),
    ("{{last_name}} there", "there"),
    ("Hi {{last_name}}", "Hi"),
    ("One {{last_name}}\n{{email}} two", "One\ntwo"),
    ("({{last_name}})", "()"),
    ("a{{last_name}}b", "ab"),
    ("Hi {{last_name}} :)", "Hi :)"),
    ("Two  blanks {{last_name}} stay", "Two  blanks stay"),
    ("{% if last_name %}x{% endif %} Hi {% if email %}x{% endif %}, there", "Hi, there"),
    ("{% if last_name %}Dear {{last_name}}{% else %}Hi{% endif %} there", "Hi there"),
    ("{% unless last_name %}Hi{% endunless %} {{ last_name | default: 'you' }}", "Hi you"),
    ("{{ '' }}", ""),
]


@pytest.mark.parametrize(("source", "expected"), BLANKS)
def test_an_empty_variable_leaves_no_doubled_blank(source: str, expected: str) -> None:
    assert render(source, contact={}) == expected


def test_text_is_normalised() -> None:
    assert (
        render(" Jose\u0301\r\n{{first_name}}\rok ", contact={"first_name": "Rene\u0301e"})
        == "José\nRenée\nok"
    )


def test_tags_and_filters_work() -> None:
    assert render("{{ first_name | upcase }} {% for i in (1..3) %}{{ i }}{% endfor %}") == "MARIA 123"
    assert render("{{ user[key] }} {{ user['first_name'] | downcase }}") == "sam"


def test_values_are_never_read_as_liquid() -> None:
    assert (
        render("Hi {{first_name}}", contact={"first_name": "{{last_name}}{% if %}"})
        == "Hi {{last_name}}{% if %}"
    )


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("Hi {{ first name }}", 1, 13),
        ("Hi\n{{ }}", 2, 1),
        ("Hi\n  {{ first_name", 2, 3),
        ("Hi {% if first_name %} you", 1, 4),
        ("Hi {% nonsense %}", 1, 7),
        ("{{ first_name | shout }}", 1, 17),
        ("{{ 'now' | date: '%Y' }}", 1, 12),
        ("{% include 'other' %}", 1, 4),
        ("{% render 'other' %}", 1, 4),
    ],
)
def test_faults_name_their_place(source: str, line: int, column: int) -> None:
    with pytest.raises(ScriptFault) as caught:
        compile_script(source)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "\n" not in str(caught.value)


def test_failures_while_rendering_are_faults() -> None:
    for source in ("{{ 1 | divided_by: 0 }}", "{% for i in (1..1000000) %}x{% endfor %}"):
        with pytest.raises(ScriptFault):
            render(source)


def test_a_broadcast_has_no_sender() -> None:
    """F098."""
    assert compile_script("Hi {{first_name}}").render(MARIA) == "Hi Maria"
    script = compile_script("Hi, {{user.first_name}} here")
    assert script.needs_sender
    with pytest.raises(ScriptFault, match="sender"):
        script.render(MARIA, CAMPAIGN)


def test_variables_and_source_are_known() -> None:
    script = compile_script("Hi {{first_name}}{% if custom_field_issue %} {{campaign.name}}{% endif %}")
    assert script.variables == {"first_name", "custom_field_issue", "campaign.name"}
    assert script.source.startswith("Hi {{first_name}}")
    assert not script.needs_sender


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hi {{first_name}}.", "Hi Maria. Reply STOP to unsubscribe."),
        ("Hi. reply stop to unsubscribe", "Hi. reply stop to unsubscribe"),
        ("Hi. Text END to quit", "Hi. Text END to quit Reply STOP to unsubscribe."),
        ("{{no_such_variable}}", ""),
    ],
)
def test_suffix(source: str, expected: str) -> None:
    """F012."""
    assert render(source, opt_out_suffix=True) == expected


def test_draw_is_even() -> None:
    """F087."""
    scripts = [compile_script(str(number)) for number in range(3)]
    assert Counter(draw(len(scripts), number / 300) for number in range(300)) == {0: 100, 1: 100, 2: 100}
    assert draw(len(scripts), 1 - 2**-53) == 2
    with pytest.raises(BadInput):
        draw(0, 0.5)


names = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "\0" not in text)
words = st.text(alphabet="abc XYZ,.!?\né", max_size=20)


@settings(max_examples=100)
@given(first=names, last=names, before=words, after=words)
def test_parts_and_liquid_agree(first: str, last: str, before: str, after: str) -> None:
    source = f"{before}{{{{first_name}}}}{after}{{{{last_name}}}}"
    contact = {"first_name": first, "last_name": last}
    joined = render(source, contact=contact)
    through_liquid = render("{% comment %}x{% endcomment %}" + source, contact=contact)
    assert "".join(joined.split()) == "".join(through_liquid.split())


@settings(max_examples=100)
@given(
    source=st.lists(
        st.sampled_from(
            ["Hi ", "{{first_name}}", "{{issue}}", " ", ", ", "e\u0301", "\r\n", "{% if email %}x{% endif %}"]
        )
    ).map("".join),
    first=st.text(max_size=8),
    suffix=st.booleans(),
)
def test_rendered_text_is_in_normal_form(source: str, first: str, suffix: bool) -> None:
    text = render(source, contact={"first_name": first}, opt_out_suffix=suffix)
    assert text == text.strip()
    assert "\r" not in text
    assert unicodedata.is_normalized("NFC", text)
    assert not text or text.endswith(OPT_OUT_SUFFIX) or not suffix


@settings(max_examples=100)
@given(
    source=st.lists(
        st.sampled_from(["{{", "}}", "{%", "%}", "if", " a ", "|", "'", "end", "first_name", "\n", "."])
    ).map("".join)
)
def test_any_source_compiles_or_faults(source: str) -> None:
    fault = None
    try:
        compile_script(source).render(MARIA, CAMPAIGN, SAM)
    except ScriptFault as error:
        fault = error
    lines = source.split("\n")
    assert fault is None or 1 <= fault.column <= len(lines[fault.line - 1]) + 1


# --- lint

GOOD = "Hi {{first_name}}, it's {{user.first_name}} with {{campaign.name}}. Will you vote? Reply STOP to opt out."


def rules(source: str, **settings: object) -> dict[str, Severity]:
    fallbacks = {"contact_fallback": "friend", "sender_fallback": "a volunteer"}
    findings = lint(source, fields=FIELDS, **{**fallbacks, **settings})
    return {finding.rule: finding.severity for finding in findings}


def test_a_good_script_has_no_findings() -> None:
    assert rules(GOOD, measure=lambda text: 1) == {}
    assert rules(GOOD, contacts_sample=[MARIA, {}]) == {}


ERRORS = [
    ("{{frist_name}} " + GOOD, {}, "unknown-variable"),
    ("{{issues}} " + GOOD, {}, "unknown-variable"),
    ("{{opt_in_form.title}} " + GOOD, {}, "unavailable-variable"),
    ("{first_name} " + GOOD, {}, "wrong-braces"),
    ("[first_name] " + GOOD, {}, "wrong-braces"),
    (GOOD, {"broadcast": True}, "sender-in-broadcast"),
    ("Hi {{first_name", {}, "syntax"),
    ("{{ 1 | divided_by: 0 }}" + GOOD, {}, "syntax"),
    ("Hi {{first_name}}, will you vote?", {}, "missing-opt-out"),
    (
        "{% if email %}Reply STOP to opt out{% else %}Hi{% endif %}",
        {"contacts_sample": [MARIA, {}]},
        "missing-opt-out",
    ),
    ("See bit.ly/abc " + GOOD, {"initial": False}, "shortener"),
    ("See HTTPS://TinyURL.com/abc " + GOOD, {}, "shortener"),
    ("See t.co/x. " + GOOD, {}, "shortener"),
    ("{{issue}} " + GOOD, {"contacts_sample": [{"issue": "https://goo.gl/x"}]}, "shortener"),
    ("{{remind_a_friend}}", {"initial": False}, "blank-text"),
    ("{% if email != blank %}x{% endif %}" + GOOD, {}, "blank-test"),
]


@pytest.mark.parametrize(("source", "settings", "rule"), ERRORS)
def test_lint_errors(source: str, settings: dict[str, object], rule: str) -> None:
    assert rules(source, **settings).get(rule) is Severity.ERROR


WARNINGS = [
    ("{{last_name}} " + GOOD, {}, "possible-blank"),
    ("{{remind_a_friend}} " + GOOD, {}, "possible-blank"),
    ("{{custom_field_remind_a_friend}} " + GOOD, {"contacts_sample": [MARIA, {}]}, "possible-blank"),
    (GOOD, {"contact_fallback": ""}, "possible-blank"),
    (GOOD, {"sender_fallback": " "}, "possible-blank"),
    ("See https://example.org/vote " + GOOD, {}, "link-in-initial"),
    ("See example.org " + GOOD, {}, "link-in-initial"),
    (GOOD, {"measure": len, "max_segments": 3}, "over-long"),
]


@pytest.mark.parametrize(("source", "settings", "rule"), WARNINGS)
def test_lint_warnings(source: str, settings: dict[str, object], rule: str) -> None:
    """F091, F092: links, and public shorteners."""
    assert rules(source, **settings) == {rule: Severity.WARNING}


SILENT = [
    ("{{issue}} " + GOOD, {}),
    ("{{last_name}} " + GOOD, {"contacts_sample": [MARIA]}),
    ("{{ last_name | default: 'you' }} {% if email %}{{email}}{% endif %} " + GOOD, {}),
    ("Hi, will you vote?", {"opt_out_suffix": True}),
    ("Thanks! See https://example.org", {"initial": False}),
    ("Write to team@example.org. " + GOOD, {}),
    ("The bus act.com it.is.gdp wait.cox " + GOOD, {"initial": False}),
    (GOOD, {"measure": lambda text: 3, "max_segments": 3}),
]


@pytest.mark.parametrize(("source", "settings"), SILENT)
def test_lint_is_silent(source: str, settings: dict[str, object]) -> None:
    assert rules(source, **settings) == {}


def test_brackets_inside_a_variable_are_liquid() -> None:
    assert set(rules("{{ user[first_name] }} " + GOOD)) == {"unknown-variable"}


def test_findings_say_where_and_what() -> None:
    (finding,) = lint("Hi,\nyes {{ Contact.First_Name }} STOP to opt out", fields=FIELDS)
    assert (finding.rule, finding.line) == ("unknown-variable", 2)
    assert finding.column in range(5, 9)
    assert "{{first_name}}" in finding.message
    (blank,) = lint("Hi {{last_name}}. STOP to opt out", fields=FIELDS, contacts_sample=[MARIA, {}, {}])
    assert "2 of 3" in blank.message
    sizes = iter([1, 5])
    (long,) = lint(
        "STOP to opt out", fields=FIELDS, contacts_sample=[MARIA, {}], measure=lambda text: next(sizes)
    )
    assert "1 to 5" in long.message


@pytest.mark.parametrize(
    "text",
    [
        "Reply STOP to unsubscribe.",
        "reply stop to opt out",
        "Text STOP to quit",
        "Txt 'STOP' 2 end",
        "STOP to end",
        "STOP2END",
        "Stop=end",
        "Stop to opt-out",
        "Reply with the word STOP if you'd rather not",
        "Text back “Unsubscribe”",
        "Send END to leave",
        "Responda ALTO para no recibir más mensajes",
        "Envíe la palabra PARAR",
        "Responde STOP",
        "CANCELAR para cancelar",
    ],
)
def test_opt_out_wording(text: str) -> None:
    assert has_opt_out_wording(text)


@pytest.mark.parametrize(
    "text",
    [
        "Will you vote?",
        "We must stop the cuts",
        "Reply to stop the cuts",
        "Please respond. Stop the cuts!",
        "It has to stop to end the war",
        "Text us to end this",
        "Reply STOPPED to unsubscribe",
        "Reply ADIOS",
        "Contact us to unsubscribe",
    ],
)
def test_no_opt_out_wording(text: str) -> None:
    """F093, F094 (C10)."""
    assert not has_opt_out_wording(text)


@pytest.mark.parametrize("keyword", sorted(STOP_KEYWORDS))
def test_a_keyword_that_passes_lint_is_honoured(keyword: str) -> None:
    assert has_opt_out_wording(f"Reply {keyword.upper()}.")
    assert read(keyword).intent is Intent.STOP
