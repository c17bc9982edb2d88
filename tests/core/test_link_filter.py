"""Tracked links and the variables of services elsewhere, in scripts and in the lint (F106 to F109)."""

import pytest

from gateway.core.text.lint import Finding, Severity, lint
from gateway.core.text.scripts import ScriptFault, compile_script

OWN = {"first_name": "Ann", "link:vote": "https://go.example.org/x1"}
CAMPAIGN = {
    "impactive_check_registration_link": "https://vote.example.org/check",
    "contact_referral_link": "yes",
}


@pytest.mark.parametrize(
    "source",
    ["Hi {{first_name}}: {{'vote'|trackable}}", "Hi {% if first_name %}{{first_name}}{% endif %}: {{ 'vote' | trackable }}"],
)  # fmt: skip
def test_a_tracked_link_is_the_persons_own_address(source: str):
    """F107."""
    script = compile_script(source)
    assert script.links == {"vote"}
    assert script.render(OWN, {}, {}) == "Hi Ann: https://go.example.org/x1"
    assert script.render({"first_name": "Ann"}, {}, {}) == "Hi Ann:"


def test_a_link_within_a_filter_or_an_assignment():
    script = compile_script("{% assign a = 'vote' | trackable %}{{ 'other' | trackable | upcase }} {{ a }}")
    assert script.links == {"vote", "other"}
    assert script.render({**OWN, "link:other": "b"}, {}, {}) == "B https://go.example.org/x1"


@pytest.mark.parametrize("source", ["{{ first_name | trackable }}", "{{ 'a' | upcase | trackable }}"])
def test_a_link_that_is_not_named_in_quotes_is_refused(source: str):
    with pytest.raises(ScriptFault, match="its name in quotes"):
        compile_script(source)


def _errors(source: str, *, initial: bool = False, **known: object) -> list[str]:
    found: list[Finding] = lint(source, fields={}, initial=initial, **known)  # type: ignore[arg-type]
    return [each.rule for each in found if each.severity is Severity.ERROR]


def test_the_lint_knows_the_campaigns_links_and_services():
    """F106, F108, F109."""
    assert _errors("Vote: {{'vote'|trackable}}", links={"vote"}) == []
    assert _errors("Vote: {{'vots'|trackable}}", links={"vote"}) == ["unknown-link"]
    for name in ("impactive_check_registration_link", "contact_referral_link"):
        assert _errors(f"See {{{{{name}}}}}", campaign=CAMPAIGN) == []
        assert _errors(f"See {{{{{name}}}}}") == ["unavailable-variable"]
    assert _errors("See {{opt_in_form.title}}", campaign=CAMPAIGN) == ["unavailable-variable"]
    words = "{{contact_referral_link}} Reply STOP to unsubscribe."
    assert _errors(words, initial=True, campaign=CAMPAIGN) == ["unavailable-variable"]


def test_a_service_is_what_the_campaign_says_of_it():
    script = compile_script(
        "{% if opt_in_form.title %}{{opt_in_form.title}}: {% endif %}{{contact_referral_link}}"
    )
    own = {"contact_referral_link": "https://r.example.org/1"}
    assert script.render(own, {"opt_in_form.title": "Join us"}, {}) == "Join us: https://r.example.org/1"
    assert script.render({}, {}, {}) == ""
