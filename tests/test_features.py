"""The map of features: each row that is built names the file that decides it, and a test that names the row."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
NOT_BUILT: Final = "not built: "  # and why
_ROW: Final = re.compile(
    r"^\| (?P<row>F\d{3}) \| (?P<what>[^|]+) \| (?P<where>[^|]*?) \| ?(?P<test>[^|]*?) ?\|$", re.MULTILINE
)
ROWS: Final = [
    each.groupdict()
    for each in _ROW.finditer((ROOT / "docs/reference/features.md").read_text(encoding="utf-8"))
]


def test_every_row_stands_once() -> None:
    assert [each["row"] for each in ROWS] == [f"F{number:03}" for number in range(1, 217)]


@pytest.mark.parametrize(
    "row", [each for each in ROWS if not each["where"].startswith(NOT_BUILT)], ids=lambda each: each["row"]
)
def test_a_built_row_names_its_file_and_a_test_that_cites_it(row: dict[str, str]) -> None:
    assert (ROOT / row["where"].strip("`")).is_file()
    text = (ROOT / row["test"].strip("`")).read_text(encoding="utf-8")
    assert re.search(rf"\b{row['row']}\b", text)
