"""What an account's history says does not depend on what is in memory and what is in the file."""

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.filed_table import FiledTable
from simulator.ledger import Table
from simulator.twilio_accounts import Account, Message, Service
from simulator.twilio_history import History

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
