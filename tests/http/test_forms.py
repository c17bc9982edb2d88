"""Our own quick forms write and read as the standard library's do."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http.webhooks import _pairs
from gateway.providers.twilio.wire import form_body
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form

values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text("abcXYZ09_", min_size=1, max_size=8)


@given(st.lists(st.tuples(names, values), max_size=8))
@settings(max_examples=100)
def test_a_form_is_written_as_urlencode_writes_it(form):
    assert form_body(form) == urlencode(form).encode()


@given(st.lists(st.tuples(values, values), max_size=8))
@settings(max_examples=100)
def test_a_form_is_read_as_it_was_meant(form):
    encoded = urlencode(form)
    assert _pairs(encoded.encode()) == Form(encoded).pairs == parse_qsl(encoded, keep_blank_values=True)


@pytest.mark.parametrize("body", ["", "&", "a", "a=b=c", "&&a=&b", "=x", "a=%zz", "a=%", "a=+%2B", "a;b=c"])
def test_odd_forms_are_read_alike(body):
    assert _pairs(body.encode()) == Form(body).pairs == parse_qsl(body, keep_blank_values=True)


@pytest.mark.parametrize("body", [b"a=%ff", "a=é".encode(), b"&".join([b"a=1"] * 201)])
def test_what_is_no_form_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever
        _pairs(body)


def test_the_twin_takes_so_many_fields_and_no_more():
    assert len(Form("&".join(["a=1"] * 500)).pairs) == 500
    with pytest.raises(ApiError):
        Form("&".join(["a=1"] * 501))
