"""A rehearsal with a real list: every row is used or told, and who had opted out is never texted."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from gateway import cli
from gateway.p2p.lists import read_list
from simulator.rehearsal.outcome import list_of
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import ELECTION_DAY, TALKATIVE, broken, small, told

# A spreadsheet's export as campaigns have it: a semicolon, odd headers, a title line's worth of trouble a row.
UGLY = """\
VANID;Last Name;First Name;Cell Phone;Zip5;State;Do Not Text
1;Doe;Ana;(215) 555-0123;19104;PA;
2;"O'Neil; Jr.";Bob;1.215.555.0124;08540;New Jersey;
3;Poe;;"+1 215 555 0125";19104;pa;no
4;Roe;Dee;215-555-0123;19104;PA;
5;Low;Eve;215-555-0126;19104;PA;yes
6;Moe;Flo;+44 20 7946 0018;19104;PA;
7;Noe;Gus;;19104;PA;
8;Coe;Hal;5550127;19104;PA;
9;Hoe;Ida;800-555-0128;19104;PA;
10;Zoë;José;2155550129.0;191041234;Penn.;
11;Voe;Max;215 555 0130 x12;19104;PA;
12;Woe;Ned;212-555-0131;10001;NY;TRUE
13;Yoe;Pat;not a phone;19104;PA;
14;Bad;Row;215-555-0132;19104;PA;;;;extra
15;Low;Eve;215-555-0126;19104;PA;
"""
OPTED_OUT = {12155550126, 12125550131}
USABLE = {12155550123, 12155550124, 12155550125, 12155550129}


@pytest.fixture
def ugly(tmp_path: Path) -> Path:
    path = tmp_path / "ugly.csv"
    path.write_text(UGLY, encoding="cp1252")
    return path


def rejects_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_an_ugly_list_through_the_command(
    ugly: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ugly.parent)
    words = [
        "rehearse",
        "--list",
        ugly.name,
        "--json",
        "--report",
        "out",
        "--script",
        "Hi {{first_name}}. STOP to end",
    ]
    assert cli.run(words) == 0
    result = json.loads(capsys.readouterr().out)
    told_of = result["list"]
    assert told_of["rows"] == 15
    assert told_of["used"] == len(USABLE) == result["contacts"]
    assert told_of["used"] + sum(told_of["rejected"].values()) == told_of["rows"]
    assert told_of["columns"] == {
        "Last Name": "last_name",
        "First Name": "first_name",
        "Cell Phone": "phone",
        "Zip5": "zip",
        "State": "state",
        "Do Not Text": "opt_out",
    }
    assert told_of["ignored"] == ["VANID"]
    assert told_of["warnings"] == []
    rejects = rejects_of(ugly.parent / "out" / "rejects.csv")
    assert Counter(row["reason"] for row in rejects) == told_of["rejected"]
    assert all(row["text"] and row["column"] and int(row["line"]) > 1 for row in rejects)
    assert [row["reason"] for row in rejects if row["line"] == "6"] == ["opted_out"]


def test_a_list_that_says_nothing_about_consent_is_warned_of_first(tmp_path: Path) -> None:
    path = tmp_path / "silent.csv"
    path.write_text("Cell,State\n215-555-0123,Nowhere\n", encoding="utf-8")
    reader = read_list(path)
    list(reader)
    found = list_of(reader.summary)
    assert found.warnings == (
        "no column says who has opted out or who may be texted: nobody was left out for it",
        "1 state is not a US state and was left blank",
    )


def test_who_opted_out_is_never_texted(rehearse: Rehearse, ugly: Path) -> None:
    world = small(ELECTION_DAY, hours=2.0)
    done = rehearse(world, contacts=None, list_path=ugly, rejects=ugly.parent / "rejects.csv")
    assert broken(done) == set(), told(done)
    texted = set(done.ledger.submissions.columns()["to"].tolist())
    assert texted
    assert texted <= USABLE
    assert texted.isdisjoint(OPTED_OUT)
    assert set(done.population.phones.tolist()) == USABLE


@pytest.mark.parametrize(
    ("header", "person"),
    [
        ("Name,Phone,Opted Out", "Ann Doe"),  # which of the words is the first name, nobody can be sure
        ("Full Name,Phone,Opted Out", "Doe; Ann"),
        ("First Name,Phone,Opted Out", "Ann3"),
        ("VANID,Phone,Opted Out", "1"),
    ],
)
def test_a_list_whose_names_nobody_can_be_sure_of(
    rehearse: Rehearse, tmp_path: Path, header: str, person: str
) -> None:
    path = tmp_path / "list.csv"
    rows = [f"{person},215555{line:04},{'yes' if line == 109 else ''}" for line in range(100, 140)]
    path.write_text("\n".join([header, *rows, ""]))
    world = small(ELECTION_DAY, hours=1.5, volunteers=8, people=TALKATIVE)
    done = rehearse(world, contacts=None, list_path=path, seed=3)
    assert broken(done) == set(), told(done)
    assert done.result.contacts == 39
    assert 12155550109 not in done.ledger.submissions.columns()["to"].tolist()


def test_another_order_of_rows_changes_no_voter_and_revives_no_opt_out(
    rehearse: Rehearse, ugly: Path
) -> None:
    """Upside down, Eve's row without a mark comes before the one that says she has opted out."""
    head, *rows = UGLY.splitlines()
    other = ugly.parent / "other.csv"
    other.write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="cp1252")
    world = small(ELECTION_DAY, hours=2.0)
    first, second = (rehearse(world, contacts=None, list_path=path) for path in (ugly, other))
    lines = [
        dict(zip(done.population.phones.tolist(), done.population.line.tolist(), strict=True))
        for done in (first, second)
    ]
    assert {phone: lines[1][phone] for phone in USABLE} == lines[0]
    assert set(second.ledger.submissions.columns()["to"].tolist()).isdisjoint(OPTED_OUT)
    assert second.result.messages.blocked.get("1302", 0) == len(lines[1].keys() - USABLE) == 1


def test_twenty_thousand_rows_are_counted_right(tmp_path: Path) -> None:
    """Every tenth is a duplicate of the row before, every hundredth has opted out, every thousandth is no phone."""
    path = tmp_path / "long.csv"
    exchanges = (555, 958)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["phone", "first_name", "opted out"])
        expected: Counter[str] = Counter()
        for row in range(20_000):
            number = row - 1 if row % 10 == 9 else row
            phone = (
                f"{(215, 412, 610)[number % 3]}{exchanges[number // 12_000]}{200 + number // 3 % 9_000:04d}"
            )
            if row % 1000 == 500:
                phone, expected["too_short"] = "555", expected["too_short"] + 1
            elif row % 10 == 9:
                expected["duplicate"] += 1
            elif row % 100 == 50:
                expected["opted_out"] += 1
            else:
                expected["used"] += 1
            writer.writerow([phone, f"Ann{row}", "yes" if row % 100 == 50 else ""])
    reader = read_list(path, rejects=tmp_path / "rejects.csv")
    used = [row.phone for batch in reader for row in batch]
    summary = reader.summary
    counted = Counter(summary.rejected)
    assert (summary.rows, summary.used) == (20_000, len(used))
    assert len(set(used)) == len(used)
    assert counted + Counter(used=summary.used) == expected
    assert len(rejects_of(tmp_path / "rejects.csv")) == 20_000 - summary.used


ASKING = """\
phone,first_name,Consent Source,SMS permission
+12155550123,Ann,web form,yes
+12155550124,Bob,web form,no
+12155550125,Cy,,yes
"""


def test_what_a_column_says_of_consent_can_be_answered_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("asking.csv").write_text(ASKING, encoding="utf-8")
    words = ["rehearse", "--list", "asking.csv", "--json"]
    assert cli.run(words) == 2
    assert "or say here how to read it: --consent 'Consent Source=nothing'" in capsys.readouterr().err
    assert cli.run([*words, "--consent", "Consent Source=nothing"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["list"]["used"], done["list"]["rejected"]) == (2, {"opted_out": 1})
    assert "Consent Source" in done["list"]["ignored"]
    assert not broken_rules(done)
    assert (
        cli.run([*words, "--consent", "consent source=nothing", "--consent", "SMS permission=nothing"]) == 0
    )
    done = json.loads(capsys.readouterr().out)
    assert done["list"]["used"] == 3
    assert not broken_rules(done)


def broken_rules(done: dict[str, dict[str, int]]) -> dict[str, int]:
    return {name: count for name, count in done["invariants"].items() if count}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Consent Source=maybe", "'Consent Source=maybe' is no answer; write COLUMN=opt-out, COLUMN=opt-in"),
        ("nothing", "'nothing' is no answer"),
        ("Nowhere=nothing", "no column is called 'Nowhere': asking.csv; the list has phone, first_name"),
        ("first_name=opt-out", "the column 'first_name' has nothing to do with consent"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    answer: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("asking.csv").write_text(ASKING, encoding="utf-8")
    assert cli.run(["rehearse", "--list", "asking.csv", "--consent", answer]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
