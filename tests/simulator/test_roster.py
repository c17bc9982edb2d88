"""A contact list as the model reads it: careful where two readings are possible."""

from pathlib import Path

import numpy as np
import pytest

from simulator.model.draws import Draws
from simulator.model.population import Population, PopulationParameters
from simulator.model.roster import UNKNOWN, Roster, read_roster

ANN, BOB, CAT, DAN = 12155550200, 12155550201, 12155550202, 12155550203


def roster(tmp_path: Path, text: str, encoding: str = "utf-8") -> Roster:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding=encoding)
    found = read_roster(path)
    assert found is not None
    return found


def called(found: Roster, phone: int) -> tuple[str | None, str | None]:
    codes = found.codes(np.array([phone]))
    return tuple(
        None if code[0] == UNKNOWN else words[code[0]] for code, words in zip(codes, found.words, strict=True)
    )


def test_names_and_marks(tmp_path: Path) -> None:
    found = roster(
        tmp_path,
        "Volunteers' list\nFirst Name;Last Name;Cell Phone;Opted Out\nAnn;Lee;(215) 555-0200;\nBob;Ray;2155550201;yes\n"
        "José;Pérez;+1 215 555 0202;no\n;Doe;215.555.0203;0\n",
        "cp1252",
    )
    assert called(found, ANN) == ("Ann", "Lee")
    assert called(found, CAT) == ("José", "Pérez")
    assert called(found, DAN) == ("", "Doe")
    assert found.marked.tolist() == [BOB]
    assert called(found, BOB) == (None, None)
    assert found.first_name(ANN) == "Ann"
    assert found.first_name(BOB) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("phone,home_phone,opt_out\n2155550200,2155550300,yes\n", "which of two phones is texted"),
        ("phone,landline,opt_out\n2155550200,yes,yes\n", "a landline is left out before its mark is read"),
        ("phone,opt_out\n2155550200,yes,more\n", "a row of another width"),
        ("phone,opt_out\n2155550200 x12,yes\n", "a phone with an extension"),
        ('phone,opt_out\n"2155550200",\n"21555\n50200",yes\n', "a row over two lines"),
    ],
)
def test_what_can_be_read_in_two_ways_marks_nobody(tmp_path: Path, text: str, why: str) -> None:
    assert roster(tmp_path, text).marked.tolist() == [], why


def test_a_name_that_is_none_is_not_known(tmp_path: Path) -> None:
    found = roster(tmp_path, "first_name,phone\n#REF!,2155550200\nAnn,2155550201\nBob,2155550201\n")
    assert called(found, ANN)[0] is None
    assert called(found, BOB)[0] is None  # two rows, two names


def test_without_a_column_of_phones_it_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("name,town\nAnn,Reading\n")
    assert read_roster(tmp_path / "list.csv") is None


def test_an_invented_list_is_as_it_was_uploaded() -> None:
    population = Population.synthetic(PopulationParameters(), 300, Draws(3))
    found = Roster.of_population(population)
    for row in population.rows():
        phone = int(row.phone[1:])
        assert called(found, phone) == (row.first_name, row.last_name)
    assert len(found.marked) == 0
