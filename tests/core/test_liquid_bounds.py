"""Scripts that ask for too much: refused in plain words, whatever they do (story 23)."""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.text.liquid_bounds import LONGEST_SCRIPT, LONGEST_VALUE, MOST_STATEMENTS
from gateway.core.text.scripts import ScriptFault, compile_script

MOST_BYTES = 5_000_000
MARIA = {"first_name": "Maria"}
DOUBLED = "{% assign x = 'aaaaaaaaaa' %}" + "{% assign x = x | append: x %}" * 23 + "{{x}}"
HOSTILE = {
    "a string doubled 23 times": DOUBLED,
    "each character ten, twelve times": "{{ 'aaaaaaaaaa' " + "| replace: 'a', 'aaaaaaaaaa' " * 12 + "}}",
    "a long range joined": "{{ (1..1000000000) | join: ',' }}",
    "a long range backwards": "{% for i in (1..1000000000) reversed %}{{i}}{% endfor %}",
    "a range to a variable": "{% assign n = 9999999 %}{% for i in (1..n) reversed %}{{i}}{% endfor %}",
    "a long range searched": "{% if (1..1000000000) contains 'a' %}x{% endif %}",
    "a number squared": "{% assign x = 999999999 %}" + "{% assign x = x | times: x %}" * 60 + "{{x}}",
    "an exponent": "{{ '1e999999999' | floor }}",
    "not a number": "{{ 'nan' | floor }}",
    "infinity": "{{ 'inf' | ceil }}",
    "5,000 digits": f"{{{{ {'9' * 5_000} }}}}",
    "tags in tags": "{% if a %}" * 200 + "{% endif %}" * 200,
    "brackets in brackets": "{{ " + "a[" * 2_000 + "b" + "]" * 2_000 + " }}",
    "parentheses": "{% if " + "(" * 2_000 + "a" + ")" * 2_000 + " %}{% endif %}",
    "a case that matches ten times, nested": "{% case 1 %}{% when 1,1,1,1,1,1,1,1,1,1 %}" * 18
    + "x"
    + "{% endcase %}" * 18,
    "loops": "{% for i in (1..200) %}" + "{{ 'a' | upcase | downcase }}" * 200 + "{% endfor %}",
    "loops in loops": "{% for i in (1..99) %}{% for j in (1..99) %}x{% endfor %}{% endfor %}",
    "captured again and again": "{% capture x %}aaaaaaaaaa{% endcapture %}"
    + "{% capture x %}{{x}}{{x}}{% endcapture %}" * 20
    + "{{x}}",
    "openings without an end": "{{" * 4_000,
    "more than a script may have": "a" * (LONGEST_SCRIPT + 1),
    "more variables than a script may have": "{{a}}" * (MOST_STATEMENTS + 1),
    "division by zero": "{{ 1 | divided_by: 0 }}",
    "a filter's own trouble": "{{ 'gICA' | base64_decode }}",
    "an error that the library can't make": "{{ 'a' | where: 'b' | map: 'c' | sort | uniq | compact | concat: 'a' }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_script_that_asks_for_too_much_is_refused(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ScriptFault):
            compile_script(source).render(MARIA)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for i in (1..5) %}{{ i }}{% endfor %}", "12345"),
        ("{{ 'a,b,c' | split: ',' | reverse | join: '-' }}", "c-b-a"),
        ("{{ first_name | replace: 'a', 'aa' | upcase }}", "MAARIAA"),
        ("{{ 3 | times: 4 | minus: 2 }}", "10"),
        ("{% assign days = 12 | divided_by: 5 %}{{ days }} days", "2 days"),
    ],
)
def test_what_a_text_needs_is_left(source: str, text: str) -> None:
    assert compile_script(source).render(MARIA) == text


@pytest.mark.parametrize(
    "script", ["Hi {{first_name}} {{x}} , you", "Hi {{first_name | upcase}} {{x}} , you"]
)
@pytest.mark.parametrize(
    ("value", "shown"),
    [(" " * 4_000, "HI, YOU"), ("a" + " " * 4_000 + "b", "HI A"), ("\t" * 4_000 + "ann", "HI ANN, YOU")],
    ids=["blanks", "blanks inside", "tabs before"],
)
def test_thousands_of_blanks_in_a_field(script: str, value: str, shown: str) -> None:
    """Passed once: 64 times as many took 4,096 times as long."""
    text = compile_script(script).render({"first_name": value}).upper()
    assert text.startswith(shown)
    assert len(text) < LONGEST_VALUE + 20


WORDS = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "|",
        ":",
        ",",
        ".",
        "[",
        "]",
        "(",
        ")",
        "..",
        "if",
        "for",
        "case",
        "when",
        "assign",
        "capture",
        "endif",
        "endfor",
        "endcase",
        "endcapture",
        "unless",
        "else",
        "elsif\n",
        "",
        "",
        "",
        "liquid",
        "cycle",
        "increment",
        "echo",
        "raw",
        "endraw",
        "comment",
        "endcomment",
        "in",
        "reversed",
        "limit",
        "offset",
        "x",
        "first_name",
        "user",
        "campaign\n",
        "",
        "",
        "",
        "append",
        "replace",
        "join",
        "split",
        "times",
        "divided_by",
        "sort",
        "map",
        "sum",
        "where",
        "uniq",
        "concat",
        "slice",
        "truncate",
        "base64_decode\n",
        "",
        "",
        "",
        "url_decode",
        "strip_html",
        "date",
        "round",
        "first",
        "last",
        "size",
        "default",
        "'a'",
        '"b"',
        "''",
        "0",
        "1",
        "-1",
        "2.5",
        "99999999999",
        "nil",
        "true",
        "empty\n",
        "",
        "",
        "",
        "contains",
        "==",
        "<",
        "and",
        "or",
        "not",
        "=",
        "\n",
    ]
)
SCRIPTS = st.one_of(
    st.text(max_size=200),
    st.lists(WORDS, max_size=40).map(" ".join),
    st.lists(WORDS, max_size=12).map(lambda words: "{{ " + " ".join(words) + " }}"),
    st.lists(WORDS, max_size=12).map(lambda words: "{% " + " ".join(words) + " %}{% endfor %}"),
)


@settings(max_examples=400, deadline=None)
@given(SCRIPTS, st.text(max_size=50))
def test_no_script_ends_in_anything_but_a_text_or_a_fault(source: str, name: str) -> None:
    with suppress(ScriptFault):
        text = compile_script(source).render({"first_name": name}, {"name": name}, {"first_name": name})
        assert len(text) < 30_000
