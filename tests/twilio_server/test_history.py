"""What an account's history and the ledger say does not depend on what is in memory and what is in a file."""

import gc
from array import array
from collections.abc import Sized
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.model.carriers import CarrierParameters
from simulator.model.ledger import DELIVERED, Table
from simulator.model.messages import Submission
from simulator.twin.account_market import AccountLedger
from simulator.twin.accounts import Account, Message, Service
from simulator.twin.filed_table import KEPT, FiledColumn, FiledTable, FiledTexts
from simulator.twin.history import History

OURS, PEOPLE = 16_025_550_100, tuple(range(12_155_550_100, 12_155_550_105))
kinds = st.sampled_from(["outbound-api", "inbound", "scheduled"])
drawn = st.lists(st.tuples(kinds, st.sampled_from(PEOPLE), st.text(max_size=5)), min_size=1, max_size=1200)


def written(account: Account, nth: int, kind: str, person: int, body: str) -> Message:
    sender, to = (person, OURS) if kind == "inbound" else (OURS, person)
    direction = "inbound" if kind == "inbound" else "outbound-api"
    n = nth if direction == "outbound-api" else -1
    message = Message(n, f"SM{nth:032x}", account, direction, sender, to, body, 1, float(nth))
    message.service = account.services["MG1"] if nth % 2 else None
    message.status = "scheduled" if kind == "scheduled" else ""
    return message


def shown(message: Message | None) -> tuple[object, ...]:
    assert message is not None
    fields = (name for name in message.__struct_fields__ if name not in ("account", "service"))
    return (*(getattr(message, name) for name in fields), message.service and message.service.sid)


@given(drawn)
@settings(max_examples=20, deadline=None)
def test_memory_and_file_are_one_history(rows):
    account = Account("AC1", "token")
    account.services["MG1"] = Service("MG1", 1, 0.0, 0.0)
    small, whole = History(account, kept=10), History(account, kept=10**9)
    filed = []
    small.filed = filed.extend
    for nth, row in enumerate(rows):
        small.add(written(account, nth, *row))
        whole.add(written(account, nth, *row))
    assert len(small) == len(whole) == len(rows)
    assert len(small._live) <= 10 + 250 + sum(kind == "scheduled" for kind, *_ in rows)
    assert all(message.status != "scheduled" for message in filed)
    for nth in range(len(rows)):
        assert shown(small.find(f"SM{nth:032x}")) == shown(whole.find(f"SM{nth:032x}"))
    for to, sender in [(None, None), (PEOPLE[0], None), (OURS, None), (None, PEOPLE[1]), (PEOPLE[0], OURS)]:
        found = [
            [
                shown(message)
                for message in history.newest(to, sender)
                if to in (None, message.to) and sender in (None, message.sender)
            ]
            for history in (small, whole)
        ]
        assert found[0] == found[1]


def test_a_change_reaches_the_file():
    account = Account("AC1", "token")
    account.services["MG1"] = Service("MG1", 1, 0.0, 0.0)
    history = History(account, kept=1)
    for nth in range(300):
        history.add(written(account, nth, "outbound-api", PEOPLE[0], "Hello"))
    message = history.find(f"SM{0:032x}")
    message.body, message.deleted = "", True
    history.keep(message)
    again = history.find(f"SM{0:032x}")
    assert (again.body, again.deleted, again.place) == ("", True, 0)
    assert history.numbered(0).sid == again.sid


def test_a_filed_table_is_the_table():
    plain, filed = Table("n:q at:d code:H"), FiledTable(Table("n:q at:d code:H"))
    for n in range(10_000):
        plain.append(n, n / 7, n % 5)
        filed.append(n, n / 7, n % 5)
    assert len(filed) == len(plain) == 10_000
    assert filed.raw() == plain.raw()
    assert filed.row(3) == plain.row(3)
    assert filed.row(9_999) == plain.row(9_999)
    assert filed.where(code=2) == plain.where(code=2)
    assert filed.columns().tolist() == plain.columns().tolist()


@pytest.mark.parametrize("code", ["B", "H", "Q", "d"])
def test_a_filed_column_is_the_array(code):
    plain, filed, luck = array(code), FiledColumn(code), Random(7)
    for n in range(3 * KEPT):
        plain.append(n % 251)
        filed.append(n % 251)
        if n % 5 == 0:
            place = luck.randrange(n + 1)
            plain[place] = filed[place] = n % 13
    assert len(filed) == len(plain)
    assert [filed[n] for n in range(len(plain))] == plain.tolist()
    for beyond in (-1, len(plain)):
        with pytest.raises(IndexError):
            filed[beyond]
        with pytest.raises(IndexError):
            filed[beyond] = 0


def test_filed_texts_are_the_list():
    texts = [("Yes! 🤷 " * (n % 40))[: n % 97] for n in range(5000)] + ["", "\ud83e", "¿Qué?"]
    filed = FiledTexts()
    for text in texts:
        filed.append(text)
    assert list(filed) == texts
    assert (len(filed), filed[0], filed[4999], filed[len(texts) - 1]) == (5003, "", texts[4999], "¿Qué?")
    with pytest.raises(IndexError):
        filed[len(texts)]


def test_a_twin_s_ledger_holds_no_more_after_weeks():
    """Whatever grows with the messages is in a file, but for its end: no list, dict or array of them in memory."""
    witness, messages = AccountLedger(CarrierParameters()), 100_000
    for n in range(messages):
        person = PEOPLE[n % 5]
        witness.submit(
            Submission(person, OURS, 1, 1, "Hello", 7, 36_000.0, (1, n, 1), float(n)), float(n), n % 6
        )
        witness.accept(n, n + 1.0, n + 1.5)
        witness.final(n, n + 2.0, DELIVERED)
        witness.statuses.append(n, n + 3.0, DELIVERED, 0)
        witness.acknowledged.append(n, n + 4.0, DELIVERED, 0)
        witness.arrive(n, n + 2.0, True)
        witness.receive(n + 3.0, person, OURS, campaign=1, carrier=n % 6, text="Yes", segments=1)
        witness.inbound_deliveries.append(n, n + 4.0)
    counts = witness.counts()
    assert (counts.submitted, counts.sent, counts.delivered, counts.replies) == (
        messages,
        0,
        messages,
        messages,
    )
    assert (witness.sent_at[3], witness.ended_at[3], witness.state(3)) == (4.5, 5.0, (DELIVERED, 0))
    assert {what: size for what, size in in_memory(witness) if size > 0.7 * messages} == {}


def in_memory(of: object) -> list[tuple[str, int]]:
    """The containers that an object holds, and their lengths."""
    found, seen, todo = [], set(), [of]
    while todo:
        held = todo.pop()
        if id(held) in seen or isinstance(held, type) or callable(held):
            continue
        seen.add(id(held))
        todo += gc.get_referents(held)
        if isinstance(held, (bytes, bytearray, array, list, dict, set)) and isinstance(held, Sized):
            found.append((type(held).__name__, len(held)))
    return found
