"""What a list says about consent that nobody here understands: asked about before anybody on the list is stored."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from gateway.core.rules.errors import BadInput
from gateway.p2p.list_cells import clean
from gateway.p2p.list_consent import Said, said
from gateway.p2p.list_files import ListFile
from gateway.p2p.list_rejects import unescaped

MOST_VALUES = 5  # of a column, told
MOST_QUESTIONS = 3  # told in one line
LONGEST_VALUE = 30  # characters


class ListQuestion(Struct, frozen=True):
    """A column that looks like consent: some of its values, the first's 1-based line, how many rows have such."""

    column: str
    values: tuple[str, ...]
    line: int
    rows: int

    def __str__(self) -> str:
        values = ", ".join(f"'{value}'" for value in self.values)
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"'{self.column}' says {values} (line {self.line}; {rows} in all)"


class UnclearConsent(BadInput):
    """A list whose consent can't be read: it is not imported until its owner has answered."""

    def __init__(self, path: Path, questions: tuple[ListQuestion, ...]) -> None:
        self.questions = questions
        one = len(questions) == 1
        shown = [str(question) for question in questions[:MOST_QUESTIONS]]
        if len(questions) > MOST_QUESTIONS:
            shown.append(f"and {len(questions) - MOST_QUESTIONS} more")
        slug = re.sub(r"\W+", "_", questions[0].column).strip("_").casefold()
        super().__init__(
            f"{'a column looks' if one else f'{len(questions)} columns look'} like consent and can't be read",
            f"{path}: {', '.join(shown)}",
            "who may be texted? If the column says it, name it 'Opted Out' or 'Opted In' and write yes or no;"
            f" if it does not, name it 'custom_field_{slug}'",
        )


class Survey:
    """One pass over the columns that say, or may say, something about consent. None of them: no pass."""

    def __init__(self, file: ListFile) -> None:
        self._file = file
        self._values: dict[int, dict[str, int]] = {}  # by column: a value and the line it first stood on
        self._rows: dict[int, int] = {}

    def steps(self) -> Iterator[None]:
        """Row by row, for whoever has other work between any two."""
        consents = self._file.columns.consents
        for record in self._file.records() if consents else ():
            for index, sense in consents:
                cell = unescaped(record.cells[index]) if index < len(record.cells) else ""
                if cell and said(cell, sense) is Said.UNCLEAR:
                    self._note(index, clean(cell)[:LONGEST_VALUE], record.line)
            yield None

    def _note(self, index: int, value: str, line: int) -> None:
        values = self._values.setdefault(index, {})
        self._rows[index] = self._rows.get(index, 0) + 1
        if len(values) < MOST_VALUES:
            values.setdefault(value, line)

    @property
    def questions(self) -> tuple[ListQuestion, ...]:
        """What was found so far, in the order of the columns."""
        headers = self._file.columns.headers
        return tuple(
            ListQuestion(
                column=headers[index], values=tuple(values), line=min(values.values()), rows=self._rows[index]
            )
            for index, values in sorted(self._values.items())
        )
