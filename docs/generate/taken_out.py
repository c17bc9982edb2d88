"""What the figures of an action's results mean, and the columns of every export."""

from docs.generate.tables import code, table
from gateway.core.bank.exports import COLUMNS, Subject
from gateway.core.bank.results import DEFINITIONS


def figures() -> str:
    """A line for each figure, in their order."""
    rows = [
        (code(each.value), told.title, told.row, told.means, told.lists.value.replace("_", " "))
        for each, told in DEFINITIONS.items()
    ]
    return table(("figure", "called", "feature", "what it says", "its rows are"), rows)


def export_columns() -> str:
    """A section for each subject."""
    return "\n\n".join(_section(each) for each in Subject)


def _section(subject: Subject) -> str:
    rows = [(code(each.name), each.kind.value, each.means) for each in COLUMNS[subject]]
    return f"### {subject.value}\n\n{table(('column', 'holds', 'meaning'), rows)}"
