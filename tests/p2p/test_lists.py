"""Real contact lists: every usual mess is read, and every row that is not used is told with its reason."""

import csv
import io
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import PhoneFault
from gateway.p2p.list_rejects import unescaped
from gateway.p2p.lists import ListReader, ListRow, ListSummary, read_list

DATA = Path(__file__).parent / "data"


REASONS = {fault.value for fault in PhoneFault} - {"blank"} | {
    "blank_phone",
    "landline",
    "duplicate",
    "opted_out",
    "row_shape",
    "row_size",
}


def rows_of(reader: ListReader) -> list[ListRow]:
    return [row for batch in reader for row in batch]


def read_bytes(folder: Path, content: bytes, **options: object) -> tuple[list[ListRow], ListSummary]:
    path = folder / "list.csv"
    path.write_bytes(content)
    reader = read_list(path, **options)  # type: ignore[arg-type]
    return rows_of(reader), reader.summary


def read_text(folder: Path, text: str, **options: object) -> tuple[list[ListRow], ListSummary]:
    return read_bytes(folder, text.encode(), **options)


def rejects_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_campaign_s_export_row_by_row(tmp_path: Path) -> None:
    reader = read_list(DATA / "campaign-export.csv", rejects=tmp_path / "rejects.csv")
    rows = {row.line: row for row in rows_of(reader)}
    assert {line: row.phone[-4:] for line, row in rows.items()} == {
        3: "0100",
        4: "0101",
        13: "0106",
        16: "0108",
    }
    assert rows[3] == ListRow(
        phone="+12155550100",
        first_name="Ana",
        last_name="Doe",
        zip="19104",
        state="PA",
        line_type="mobile",
        fields={"polling_place": "Gym, Main St"},
        line=3,
    )
    assert (rows[4].zip, rows[4].state, rows[4].last_name) == ("08540", "NJ", "O'Neil, Jr.")
    assert (rows[13].zip, rows[13].state, rows[13].fields) == (
        "19104-1234",
        "PA",
        {"polling_place": "School"},
    )
    told = {int(row["line"]): (row["reason"], row["column"]) for row in rejects_of(tmp_path / "rejects.csv")}
    assert told == {
        5: ("landline", "Cell Phone"),
        7: ("duplicate", "Cell Phone"),
        8: ("extension", "Cell Phone"),
        9: ("foreign", "Cell Phone"),
        10: ("blank_phone", "Cell Phone"),
        11: ("too_short", "Cell Phone"),
        12: ("toll_free", "Cell Phone"),
        15: ("row_shape", "(row)"),
    }
    summary = reader.summary
    assert (summary.rows, summary.used, sum(summary.rejected.values())) == (12, 4, 8)
    assert "VANID" in summary.ignored
    assert summary.columns["Home Phone"] == "phone"
    assert any("above the header" in warning for warning in summary.warnings)


def test_rejects_keep_the_row_and_can_be_imported_again(tmp_path: Path) -> None:
    rejects = tmp_path / "deep" / "rejects.csv"
    read_text(tmp_path, 'phone,text,name\n555,"a\nb",Zoë\n2155550100,,Al\n', rejects=rejects)
    (row,) = rejects_of(rejects)
    assert row == {
        "line": "2",
        "column": "phone",
        "reason": "too_short",
        "text": PhoneFault.TOO_SHORT.reason,
        "phone": "555",
        "original text": "a\nb",
        "name": "Zoë",
    }
    rejects.write_text(rejects.read_text("utf-8").replace(",555,", ",2155550101,"), "utf-8")
    again = read_list(rejects)
    assert [(row.phone, row.first_name) for row in rows_of(again)] == [("+12155550101", "Zoë")]


FORMULAS = ["=1+1", "+12155550100", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("http://x")']


def test_no_spreadsheet_runs_a_cell_of_the_rejects(tmp_path: Path) -> None:
    """Story 33: our own columns, the headers and the row's cells; imported again they are as they were."""
    rejects = tmp_path / "rejects.csv"
    text = io.StringIO()
    csv.writer(text).writerows(
        [("phone", "=name", "custom_field_x")] + [("12", each, each) for each in FORMULAS]
    )
    text.write("+44 20 7946 0958,Al,x\n")
    read_text(tmp_path, text.getvalue(), rejects=rejects)
    with rejects.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]
    assert "'+44 20 7946 0958" in cells
    corrected = rejects.read_text("utf-8").replace(",12,", ",2155550100,")
    rows, _ = read_text(tmp_path, corrected)
    assert rows[0].fields == {"x": "=1+1"}


def test_a_file_of_one_endless_line_fills_no_memory(tmp_path: Path) -> None:
    """What is too long is one reject, and the row below it is used."""
    text = f"phone,name\n2155550102,Bo\n2155550100,{'a' * 3_000_000}\n2155550101,Al\n"
    rows, summary = read_text(tmp_path, text)
    assert [row.phone for row in rows] == ["+12155550102", "+12155550101"]
    assert summary.rejected == {"row_size": 1}


def test_a_known_field_may_stand_bare_but_never_takes_a_built_in_column(tmp_path: Path) -> None:
    text = "phone,state,cell_group,other\n2155550100,PA,north,x\n"
    rows, summary = read_text(tmp_path, text, custom_fields={"state", "cell_group"})
    assert (rows[0].state, rows[0].fields) == ("PA", {"cell_group": "north"})
    assert summary.ignored == ("other",)


GOOD, OTHER = "215-555-0100", "215-555-0101"


@pytest.mark.parametrize(
    ("header", "row", "outcome"),
    [
        ("home_phone,cell", f"{OTHER},{GOOD}", "0100"),
        ("home_phone,cell", f"{GOOD},", "0100"),
        ("home_phone,cell", f"{GOOD},nonsense", "0100"),
        ("home_phone,cell", "nonsense,12", "cell too_short"),
        ("home_phone,cell", ",", "cell blank_phone"),
        ("home_phone,home_phone_type,cell", f"{GOOD},landline,", "home_phone landline"),
        ("phone,phone_type,cell", f"{OTHER},landline,{GOOD}", "0100"),
        ("cell,phone,line_type", f",{GOOD},fixed", "phone landline"),
        ("cell,phone,line_type", f"{GOOD},{OTHER},Fixed Line", "0100"),
        ("phone,type", f"{GOOD},voter", "0100"),
        ("phone,type", f"{GOOD},Land-Line", "phone landline"),
        ("phone,landline", f"{GOOD},Y", "phone landline"),
        ("phone,landline", f"{GOOD},no", "0100"),
        ("phone,landline", f"{GOOD},{OTHER}", "0100"),
        ("landline,name", f"{GOOD},Al", "landline landline"),
        ("cell,landline_phone", f",{GOOD}", "landline_phone landline"),
        ("phone,ext", f"{GOOD},12", "phone extension"),
        ("phone,ext", f"{GOOD},", "0100"),
        ("phone,opt_out", f"{GOOD},2026-01-05", "opt_out opted_out"),
        ("phone,opt_out", f"{GOOD},FALSE", "0100"),
        ("phone,name", f'{GOOD},"Doe, Al"', "0100"),
        ("phone,name", f"{GOOD},Doe, Al", "(row) row_shape"),
        ("phone,name", f"{GOOD},Al,,", "0100"),
        ("phone,name", f"{GOOD}", "0100"),
        ("phone,name", "#N/A,Al", "phone blank_phone"),
        ("phone,name", ",,", "phone blank_phone"),
        ("phone,name", f"{GOOD} / {OTHER},Al", "0100"),
        ("phone,name", f'"{GOOD}\n{OTHER}",Al', "0100"),
        ("phone,name", f"{GOOD} / 12,Al", "phone too_long"),
        ("phone,name", "2.15555E+09,Al", "phone not_a_number"),
        ("phone,name", "215-911-0100,Al", "phone not_assignable"),
        ("phone,name", "900-555-0100,Al", "phone premium"),
        ("phone,name", "416-555-0100,Al", "phone foreign"),
        ("phone,name", "phone,name", "phone not_a_number"),
    ],
)
def test_which_phone_and_why_none(tmp_path: Path, header: str, row: str, outcome: str) -> None:
    rejects = tmp_path / "rejects.csv"
    rows, summary = read_text(tmp_path, f"{header}\n{row}\n", rejects=rejects)
    told = [row.phone[-4:] for row in rows] + [
        f"{row['column']} {row['reason']}" for row in rejects_of(rejects)
    ]
    assert told == [outcome]
    assert summary.rows == 1 == summary.used + sum(summary.rejected.values())


def test_a_number_rounded_by_a_spreadsheet_is_told_as_such(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    read_text(tmp_path, "phone\n2.15555E+09\n", rejects=rejects)
    assert "format the column as text" in rejects_of(rejects)[0]["text"]


def test_an_opted_out_row_shields_the_phone_from_a_later_row(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"phone,opted_out\n{GOOD},yes\n{GOOD},\n{OTHER},\n{OTHER},1\n")
    reader = read_list(path)
    assert [row.phone for row in rows_of(reader)] == ["+12155550101"]
    assert reader.summary.rejected == {"duplicate": 1, "opted_out": 2}
    assert reader.opted_out == ["+12155550100", "+12155550101"]


def test_duplicates_name_the_first_line(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    text = "name,phone\nAl,(215) 555-0100\nBo,\n\nCy,+1.215.555.0100\n"
    rows, summary = read_text(tmp_path, text, rejects=rejects)
    assert [row.first_name for row in rows] == ["Al"]
    assert summary.rejected == {"blank_phone": 1, "duplicate": 1}
    assert rejects_of(rejects)[-1]["line"] == "5"
    assert "line 2" in rejects_of(rejects)[-1]["text"]


def test_rejects_never_overwrite_the_list(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone\n1\n")
    with pytest.raises(BadInput, match="overwrite"):
        read_list(path, rejects=path)
    with pytest.raises(BadInput, match="stopped"):
        rows_of(read_list(path, rejects=tmp_path))


def test_a_list_without_rows_is_told(tmp_path: Path) -> None:
    rows, summary = read_text(tmp_path, "phone,name\n\n")
    assert (rows, summary.rows, summary.warnings) == ([], 0, ("the list has a header but no rows",))


def test_assignee_carrier_and_full_names(tmp_path: Path) -> None:
    text = """Name,Cell,Carrier,Assigned To,last_name
Mr. Al B. Doe,2155550100,AT&T Mobility,vol@example.org,
"Roe, Bo Ann",2155550101,Nobody Knows,,Poe
"""
    rows, _ = read_text(tmp_path, text)
    assert [(row.first_name, row.last_name, row.carrier, row.assignee) for row in rows] == [
        ("Al", "B. Doe", "att", "vol@example.org"),
        ("Bo", "Poe", None, ""),
    ]


def test_strange_zips_and_states_are_counted_not_rejected(tmp_path: Path) -> None:
    text = "phone,zip,state\n2155550100,K1A 0B1,Ontario\n2155550101,NULL,\n"
    rows, summary = read_text(tmp_path, text)
    assert [(row.zip, row.state) for row in rows] == [("", ""), ("", "")]
    assert [warning[:2] for warning in summary.warnings] == ["1 ", "1 "]


CELLS = st.text(st.sampled_from("ab ,;|\t\"'\n\réñü0."), max_size=8)


PHONES = st.integers(100, 140).map(lambda line: f"(215) 555-0{line}") | st.sampled_from(["", "12", "call me"])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, PHONES, CELLS, CELLS), max_size=8),
    layout=st.tuples(
        st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"]),
        st.sampled_from(",;\t|"),
        # Given "\n", csv leaves a lone CR unquoted unless it quotes all.
        st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    ),
    batch_size=st.integers(1, 4),
)
def test_what_csv_wrote_comes_back(
    tmp_path: Path,
    rows: list[tuple[str, str, str, str]],
    layout: tuple[str, str, tuple[str, int]],
    batch_size: int,
) -> None:
    codec, delimiter, (line_break, quoting) = layout
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_break, quoting=quoting)
    writer.writerows([("First_Name", "PHONE", "custom_field_note", "email"), *rows])
    path, rejects = tmp_path / "list.csv", tmp_path / "rejects.csv"
    path.write_bytes(text.getvalue().encode(codec))
    reader = read_list(path, rejects=rejects, batch_size=batch_size)
    batches = list(reader)
    read, summary, told = [row for batch in batches for row in batch], reader.summary, rejects_of(rejects)

    assert [(row.phone, row.first_name, row.email, row.fields) for row in read] == list(expected(rows))
    assert summary.rows == len(rows) == summary.used + sum(summary.rejected.values())
    assert summary.used == len(read)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert summary.rejected == dict(Counter(row["reason"] for row in told))
    assert all(
        int(row["line"]) > 1 and row["column"] and row["text"] and row["reason"] in REASONS for row in told
    )


def expected(
    rows: list[tuple[str, str, str, str]],
) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """By the plainest reading: first of each phone, blanks folded in names, kept in custom fields."""
    seen = set()
    for name, phone, note, email in (map(unescaped, row) for row in rows):
        digits = "".join(filter(str.isdigit, phone))
        if len(digits) == 10 and digits not in seen:
            seen.add(digits)
            note = note.replace("\r\n", "\n").replace("\r", "\n").strip()
            folded = [" ".join(cell.split()) for cell in (name, email)]
            first, mail = ("" if cell == "." else cell for cell in folded)
            yield f"+1{digits}", first, mail, {} if note in ("", ".") else {"note": note}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200) | st.text(st.sampled_from('215550\n\r",;x'), max_size=300).map(str.encode)
)
def test_whatever_follows_a_header_is_accounted_for(tmp_path: Path, content: bytes) -> None:
    path, rejects = tmp_path / "list.csv", tmp_path / "rejects.csv"
    # Long enough a name that no content makes the file less than text.
    path.write_bytes(b"phone,name\n2155550100," + b"Al " * 2_000 + b"\n" + content)
    reader = read_list(path, rejects=rejects)
    rows, summary = rows_of(reader), reader.summary
    assert rows[0].phone == "+12155550100"
    assert (
        summary.rows == len(rows) + len(rejects_of(rejects)) == summary.used + sum(summary.rejected.values())
    )
    assert len({row.phone for row in rows}) == len(rows)


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak_bytes(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        path.write_text("phone,name\n" + f"{GOOD},{'Ann ' * 50}\n" * rows)
        tracemalloc.start()
        for _ in read_list(path, rejects=tmp_path / "rejects.csv", batch_size=100):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_bytes(100)
    assert peak_bytes(20_000) < peak_bytes(2_000) * 1.5


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"phone\n{GOOD}\n{GOOD}\n")
    reader = read_list(path)
    assert (rows_of(reader), reader.summary) == (rows_of(reader), reader.summary)
    assert reader.summary.rows == 2
