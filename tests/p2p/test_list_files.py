"""Encodings, delimiters, headers, line numbers and stray quotes of contact lists; files that are none."""

import csv
from pathlib import Path

import pytest

from gateway.core.rules.errors import BadInput
from gateway.p2p.lists import ListReader, ListRow, ListSummary, read_list

DATA = Path(__file__).parent / "data"
GOOD, OTHER = "215-555-0100", "215-555-0101"


def rows_of(reader: ListReader) -> list[ListRow]:
    return [row for batch in reader for row in batch]


def read_bytes(
    folder: Path, content: bytes, rejects: Path | None = None
) -> tuple[list[ListRow], ListSummary]:
    path = folder / "list.csv"
    path.write_bytes(content)
    reader = read_list(path, rejects=rejects)
    return rows_of(reader), reader.summary


def read_text(folder: Path, text: str, rejects: Path | None = None) -> tuple[list[ListRow], ListSummary]:
    return read_bytes(folder, text.encode(), rejects)


def rejects_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


NAMES = "phone,first_name,custom_field_note\n+12155550100,Zoë,naïve\n2155550101,Bob,“x”\n"


@pytest.mark.parametrize(
    ("codec", "named"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_encodings_delimiters_and_line_breaks(
    tmp_path: Path, codec: str, named: str, delimiter: str, line_break: str
) -> None:
    text = NAMES.replace(",", delimiter).replace("\n", line_break)
    rows, summary = read_bytes(tmp_path, text.encode(codec))
    assert [(row.phone, row.first_name, row.fields["note"], row.line) for row in rows] == [
        ("+12155550100", "Zoë", "naïve", 2),
        ("+12155550101", "Bob", "“x”", 3),
    ]
    assert (summary.encoding, summary.delimiter, summary.warnings) == (named, delimiter, ())


def test_a_late_byte_that_is_not_utf8_costs_no_row(tmp_path: Path) -> None:
    lines = [f"+1215555{line:04d},Ann\n".encode() for line in range(5_000)]
    rows, summary = read_bytes(tmp_path, b"phone,name\n" + b"".join(lines) + b"2675550100,Jos\xe9\n")
    assert (len(rows), rows[-1].first_name, summary.encoding) == (5_001, "José", "cp1252")


def test_a_utf8_file_with_a_few_latin1_bytes_stays_utf8(tmp_path: Path) -> None:
    content = "phone,name\n2155550100,Zoë\n2155550101,Ñandú\n".encode() + b"2155550102,Jos\xe9 \x81\n"
    rows, summary = read_bytes(tmp_path, content)
    assert [row.first_name for row in rows] == ["Zoë", "Ñandú", "José"]
    assert summary.encoding == "utf-8"
    assert "2 bytes are not UTF-8" in summary.warnings[0]


def test_stray_quotes_swallow_no_row(tmp_path: Path) -> None:
    reader = read_list(DATA / "stray-quotes.csv")
    rows = rows_of(reader)
    assert [(row.phone[-4:], row.first_name, row.line) for row in rows] == [
        ("0100", "Ana", 2),
        ("0101", "Bob", 3),
        ("0102", "Cy", 4),
        ("0103", 'Dee "D" Ann', 5),
        ("0104", "Eve of many lines", 6),
    ]
    assert reader.summary.warnings[0].startswith("2 rows begin a quotation")


def test_a_first_cell_of_several_lines_full_of_delimiters_is_one_row(tmp_path: Path) -> None:
    rows, summary = read_text(tmp_path, f'name,phone,email\n"a,b,c,\n",{GOOD},\n')
    assert ([(row.first_name, row.last_name) for row in rows], summary.warnings) == ([("b,c,", "a")], ())


def test_a_quote_closed_by_an_inch_mark_swallows_no_row(tmp_path: Path) -> None:
    rows, _ = read_text(tmp_path, f'phone,name,note\n{GOOD},"Bob,x\n215-555-0102,Cy,y\n{OTHER},Al 5",z\n')
    assert [(row.phone[-4:], row.first_name) for row in rows] == [
        ("0100", "Bob"),
        ("0102", "Cy"),
        ("0101", "Al"),
    ]


def test_a_quote_that_never_ends_costs_one_row(tmp_path: Path) -> None:
    lines = "".join(f"1215555{line:04d},x,Ann\n" for line in range(3_000))
    rows, summary = read_text(tmp_path, f'phone,a,name\n2675550100,"Bo,b,c\n{lines}')
    assert (len(rows), summary.rejected, rows[0].line) == (3_000, {"row_shape": 1}, 3)


def test_line_breaks_inside_quotes_and_line_numbers(tmp_path: Path) -> None:
    text = f'\nphone,custom_field_note,name\r\n{GOOD},"one\r\n\r\ntwo",Al\r\n\r\nbad,"x\ny",Bo\r\n{OTHER},,"Cy\nAnn"'
    rejects = tmp_path / "rejects.csv"
    rows, _ = read_text(tmp_path, text, rejects=rejects)
    assert [(row.line, row.fields, row.first_name) for row in rows] == [
        (3, {"note": "one\n\ntwo"}, "Al"),
        (9, {}, "Cy"),
    ]
    assert [row["line"] for row in rejects_of(rejects)] == ["7"]


def test_excel_s_separator_line_and_a_title(tmp_path: Path) -> None:
    rows, summary = read_text(tmp_path, f"sep=;\nList of cell phones\nname;phone\nAl;{GOOD}\n")
    assert ([(row.line, row.first_name) for row in rows], summary.delimiter) == ([(4, "Al")], ";")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \r\n\r\n", "is empty"),
        (b"PK\x03\x04rest of a workbook", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html><table>", "web page"),
        (bytes(range(256)) * 20, "not text"),
        (b"voter_id,first_name,county\n1,Al,Mercer\n", "voter_id, first_name, county"),
        (b"voter_id,first_name,county\n1,Al,Mercer\n", "name one of them phone"),
        (b"2155550100,Al\n2155550101,Bo\n", "no header row"),
        (b"phone," + b"x" * 300_000, "no line breaks"),
    ],
)
def test_files_that_are_no_list(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_list(path)
    assert says in str(caught.value)
    assert "list.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such contact list"):
        read_list(tmp_path / "absent.csv")
    with pytest.raises(BadInput, match="not a file"):
        read_list(tmp_path)
