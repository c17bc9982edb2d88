"""What a list's owner answers about a column that looks like consent: how it is to be read, or that it says nothing."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from gateway.core.rules.errors import BadInput
from gateway.p2p.list_consent import Sense
from gateway.p2p.list_files import ListFile

ANSWERS: Final[Mapping[str, Sense | None]] = {
    "opt-out": Sense.OPT_OUT,
    "opt-in": Sense.OPT_IN,
    "nothing": None,
}


def read_answers(texts: Iterable[str]) -> dict[str, str]:
    """`COLUMN=SAYS`, each; a header may have an equals sign in it. Raises BadInput."""
    answers = {}
    for text in texts:
        header, _, says = text.rpartition("=")
        if not header or says not in ANSWERS:
            raise BadInput(
                "this is no answer about a column", f"'{text}'", f"write COLUMN={', COLUMN='.join(ANSWERS)}"
            )
        answers[header] = says
    return answers


def answered(file: ListFile, answers: Mapping[str, str]) -> ListFile:
    """The list with some of its columns read as its owner says: a header and one of ANSWERS each.

    Raises BadInput for a column that is not there, or has nothing to do with consent.
    """
    columns = file.columns
    senses, recognised = dict(columns.consents), dict(columns.recognised)
    places = {header.strip().casefold(): index for index, header in reversed([*enumerate(columns.headers)])}
    for header, says in answers.items():
        place = places.get(header.strip().casefold(), -1)
        if place not in senses:
            what = (
                f"the column '{header}' has nothing to do with consent"
                if place >= 0
                else f"no column is called '{header}'"
            )
            raise BadInput(what, str(file.path), f"the list has {', '.join(filter(None, columns.headers))}")
        sense = ANSWERS[says]
        del senses[place]
        recognised.pop(columns.headers[place], None)
        if sense is not None:
            senses[place] = sense
            recognised[columns.headers[place]] = sense.value
    order = {header: index for index, header in reversed([*enumerate(columns.headers)])}
    return replace(
        file,
        columns=replace(
            columns,
            consents=tuple(sorted(senses.items())),
            recognised=dict(sorted(recognised.items(), key=lambda each: order[each[0]])),
            ignored=tuple(header for header in columns.headers if header and header not in recognised),
        ),
    )
