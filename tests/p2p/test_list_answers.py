"""An owner's answer about a column of consent: it is read as they say, and the summary says so."""

from pathlib import Path

import pytest

from gateway.p2p.lists import ListReader, read_list

LIST = "phone,Opt state,Do Not Text\n+12155550123,on,\n+12155550124,off,\n+12155550125,web,x\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


def used(reader: ListReader) -> list[str]:
    return [row.phone for batch in reader for row in batch]


def test_as_an_opt_in_its_no_says_don_t_text(path: Path) -> None:
    path.write_text(LIST.replace("web", ""), encoding="utf-8")
    reader = read_list(path, consents={"opt STATE": "opt-in"})
    assert used(reader) == ["+12155550123"]
    assert reader.opted_out == ["+12155550124", "+12155550125"]
    assert reader.summary.columns == {"phone": "phone", "Opt state": "opt_in", "Do Not Text": "opt_out"}


def test_as_an_opt_out_its_yes_says_so(path: Path) -> None:
    path.write_text(LIST.replace("web", ""), encoding="utf-8")
    assert used(read_list(path, consents={"Opt state": "opt-out"})) == ["+12155550124"]


def test_as_nothing_it_is_ignored_and_the_others_still_count(path: Path) -> None:
    reader = read_list(path, consents={"Opt state": "nothing"})
    assert used(reader) == ["+12155550123", "+12155550124"]
    assert reader.opted_out == ["+12155550125"]
    assert (reader.summary.ignored, reader.summary.questions) == (("Opt state",), ())
