"""The ledger: columns, totals, money, and a hash that sees everything."""

import numpy as np
import pytest

from simulator.model.carriers import CARRIERS, CarrierParameters
from simulator.model.ledger import (
    DELIVERED,
    FAILED,
    UNDELIVERED,
    Ledger,
    Table,
    inbound_sid_of,
    number_of,
    reference_fields,
    sid_of,
)
from simulator.model.messages import Submission


def submission(to=12_155_550_123, reference=(1, 2, 3), body_key=9):
    return Submission(to, 12_675_550_100, 1, 2, "Hi", body_key, 60.0, reference, 0.5)


def filled():
    ledger = Ledger()
    for nth in range(4):
        ledger.submit(submission(12_155_550_100 + nth, (1, nth, 1)), 1.0 + nth, nth)
    for n in range(3):
        ledger.bill(n, 2)
        ledger.accept(n, 2.0, 3.0 + n)
    ledger.arrive(0, 6.0, shown=True)
    ledger.arrive(2, 7.0, shown=False)
    ledger.final(0, 6.0, DELIVERED)
    ledger.final(1, 6.5, UNDELIVERED, 30007)
    ledger.final(3, 8.0, FAILED, 30034)
    ledger.receive(9.0, 12_155_550_100, 12_675_550_100, campaign=1, carrier=0, text="Sí 👍", segments=1)
    return ledger


def test_tables_give_columns_rows_and_matches():
    table = Table("n:q at:d status:B")
    assert len(table.columns()) == 0
    assert table.where(n=1) == []
    table.append(7, 0.25, 3)
    table.append(8, 0.50, 3)
    assert table.columns()["at"].tolist() == [0.25, 0.5]
    assert table.row(1) == {"n": 8, "at": 0.5, "status": 3}
    assert table.where(status=3, n=8) == [1]
    table.append(9, 0.75, 4)  # no view may still lock the rows
    assert len(table) == 3
    with pytest.raises(IndexError):
        table.row(3)
    with pytest.raises(IndexError):
        table.row(-1)


def test_columns_are_a_copy():
    ledger = filled()
    columns = ledger.submissions.columns()
    ledger.submit(submission(), 9.0, 0)
    assert (len(columns), len(ledger.submissions)) == (4, 5)


def test_counts_balance():
    counts = filled().counts()
    assert (counts.submitted, counts.accepted, counts.sent, counts.delivered) == (4, 3, 1, 1)
    assert (counts.undelivered, counts.failed, counts.filtered, counts.silent) == (
        {30007: 1},
        {30034: 1},
        1,
        1,
    )
    assert counts.replies == 1
    assert counts.segments_billed == 6
    assert list(counts.in_queue) == list(CARRIERS)


def test_money_is_what_the_carriers_were_reached_for():
    prices = CarrierParameters()
    expected = 2 * sum(prices.price_out_usd(name) for name in ("att", "tmobile", "verizon"))
    expected += 0.001 + prices.price_in_usd("att")
    assert filled().counts().cost_usd == pytest.approx(expected, abs=1e-6)


def test_expiry_in_the_queue_costs_nothing():
    ledger = Ledger()
    ledger.final(ledger.submit(submission(), 1.0, 0), 60.0, FAILED, 30036)
    assert ledger.cost_usd == 0


def test_latency_is_taken_from_the_providers_door():
    ledger = filled()
    assert ledger.latency_s("accepted", "tmobile").tolist() == [2.0]
    assert ledger.latency_s("shown", "att").tolist() == [5.0]
    assert ledger.latency_s("shown", "voip").dtype == np.float32


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: ledger.submit(submission(), 1.0, 0),
        lambda ledger: ledger.refuse(1.0, 2, 3, 4, 21610),
        lambda ledger: ledger.accept(0, 1.0, 2.0),
        lambda ledger: ledger.final(2, 9.0, DELIVERED),
        lambda ledger: ledger.statuses.append(1, 2.0, 3, 0),
        lambda ledger: ledger.arrive(1, 2.0, shown=True),
        lambda ledger: ledger.inbound_texts.append("x"),
        lambda ledger: ledger.inbound_deliveries.append(0, 2.0),
        lambda ledger: ledger.buy(1.0, 12_675_550_100, 1),
        lambda ledger: ledger.releases.append(1.0, 2),
    ],
)
def test_the_hash_sees_every_table(change):
    ledger = filled()
    before = ledger.trace_hash()
    assert before == filled().trace_hash()
    change(ledger)
    assert ledger.trace_hash() != before


@pytest.mark.parametrize("n", [0, 1, 255, 10**9])
def test_sids_are_34_characters_and_come_back(n):
    assert len(sid_of(n)) == len(inbound_sid_of(n)) == 34
    assert number_of(sid_of(n)) == n
    assert number_of(inbound_sid_of(n)) is None
    assert set(sid_of(n)[2:]) != {"0"}


@pytest.mark.parametrize(
    "sid", ["", "SM", "SM" + "g" * 32, "PN" + "0" * 32, "SM" + "0" * 32, "SM" + "0" * 31]
)
def test_what_is_no_sid(sid):
    assert number_of(sid) is None


def test_references():
    assert reference_fields((4, 5, 6)) == (4, 5, 6)
    assert reference_fields(b"opaque") == (-1, -1, -1)
    ledger = Ledger()
    n = ledger.submit(submission(body_key=-1), 1.0, 0)
    row = ledger.submissions.row(n)
    assert (row["campaign_id"], row["message_id"], row["attempt"], row["body_key"]) == (1, 2, 3, 2**64 - 1)
