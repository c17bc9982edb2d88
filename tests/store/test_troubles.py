"""Which errors are the database's, and which are a row's."""

import asyncpg
import pytest

from gateway.store.troubles import DatabaseAway, DatabaseBusy, DatabaseGone, trouble

GONE = ["08006", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04"]
BUSY = ["25006", "53100", "53200", "53300", "40001", "40P01", "55P03", "57014", "58030"]
DEFECTS = ["23505", "23514", "22003", "22P02", "42601", "42P01", "0A000", "25P02", "40002"]


@pytest.mark.parametrize(
    ("codes", "kind"), [(GONE, DatabaseGone), (BUSY, DatabaseBusy), (DEFECTS, type(None))]
)
def test_each_code_has_its_kind(codes: list[str], kind: type):
    for code in codes:
        error = asyncpg.PostgresError.new({"C": code, "M": "the server's words", "S": "ERROR"})
        assert type(trouble(error, is_closed=False)) is kind, code


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(104, "reset"), TimeoutError(), asyncpg.InternalClientError("the stream ended")],
)
def test_a_broken_wire_is_gone(error: Exception):
    assert type(trouble(error, is_closed=False)) is DatabaseGone


def test_an_error_of_the_client_is_gone_only_with_its_connection():
    error = asyncpg.InterfaceError("connection is closed")
    assert type(trouble(error, is_closed=True)) is DatabaseGone
    assert trouble(error, is_closed=False) is None


def test_a_table_that_changed_under_a_prepared_statement_is_tried_again():
    error = asyncpg.InvalidCachedStatementError("cached plan must not change result type")
    assert type(trouble(error, is_closed=False)) is DatabaseBusy


def test_what_is_told_names_no_row():
    error = asyncpg.PostgresError.new(
        {"C": "40P01", "M": "deadlock detected", "D": "Key (phone)=(+12155550101)", "S": "ERROR"}
    )
    assert str(trouble(error, is_closed=False)) == "deadlock detected"


def test_a_trouble_stays_what_it_is():
    away = DatabaseBusy("no connection was free in time")
    assert trouble(away, is_closed=False) is away
    assert isinstance(away, DatabaseAway)
