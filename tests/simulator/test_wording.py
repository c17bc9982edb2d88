"""The model's renderer says the same as the gateway's, of which it knows nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.text.scripts import compile_script
from simulator.model.wording import Names, Wording, key_of, variant_of

NAMES = st.sampled_from(["", " ", "Ana", "José", "Mary Ann", "O'Neil", "Jose\u0301"])
SCRIPTS = st.lists(
    st.sampled_from(
        [
            "Hi {{first_name}}",
            "{{ last_name }}",
            "{{full_name}}",
            "{{user.first_name}}",
            ", it's ",
            " ",
            "\n",
            "\r\n",
            "!",
            ". Reply STOP to opt out",
            "reply stop to unsubscribe",
            "  with two blanks  ",
        ]
    ),
    min_size=1,
    max_size=8,
).map("".join)


@given(SCRIPTS, NAMES, NAMES, NAMES, st.booleans())
def test_both_render_alike(source: str, first: str, last: str, sender: str, suffix: bool) -> None:
    fallbacks = {"contact_fallback": "friend", "sender_fallback": "a volunteer"}
    script = compile_script(source, opt_out_suffix=suffix, **fallbacks)
    wording = Wording.of(source, suffix=suffix, **fallbacks)
    assert wording is not None
    contact = {"first_name": first, "last_name": last, "full_name": f"{first} {last}".strip()}
    expected = script.render(contact, sender={"first_name": sender})
    assert wording.text(Names(first, last), Names(sender)) == expected


@pytest.mark.parametrize(
    "source",
    [
        "Hi {{custom_field_issue}}",
        "Hi {{first_name | upcase}}",
        "{% if first_name %}Hi{% endif %}",
        "Hi {{email}}",
        "Hi {{first_name",
    ],
)
def test_what_it_cant_render_it_leaves_alone(source: str) -> None:
    assert Wording.of(source) is None


def test_a_text_has_one_key_and_each_variant_its_share() -> None:
    assert key_of("Hi Ana") == key_of("Hi Ana") != key_of("Hi Bob")
    assert [variant_of(luck, 2) for luck in (0.0, 0.49, 0.5, 0.999, 1.0)] == [0, 0, 1, 1, 1]
