"""Cells of a spreadsheet: a text that Excel or LibreOffice would take for a formula is written so that it is none.

People's own words stand in our files, and whoever opens one runs what they hold (CWE-1236). Such a text gets an
apostrophe in front, which spreadsheets take for "this is text". `unescaped` gives back exactly what was there.
"""

import re
from typing import Final

_RUNS: Final = "=+\\-@\t\r\n＝＋－＠"
MAY_RUN: Final = frozenset("'=+-@\t\r\n＝＋－＠")
"""What a text begins with that `escaped` may change: others need not be asked about."""

# A sign and digits are a number or a phone, never a formula.
_IS_RUN: Final = re.compile(rf"'*[{_RUNS}](?!(?<=[+-])[0-9]+(?:\.[0-9]+)?\Z)")


def escaped(text: str) -> str:
    """The text, with an apostrophe in front of what a spreadsheet would run."""
    return f"'{text}" if _IS_RUN.match(text) else text


def unescaped(cell: str) -> str:
    """What `escaped` made this cell of."""
    return cell[1:] if cell.startswith("'") and _IS_RUN.match(cell[1:]) else cell
