"""Scripts between the words of an admin and the rows of the store."""

from collections.abc import Sequence

import msgspec

from gateway.core.bank.scripts import MOST_SCRIPTS, ScriptKind, ScriptText, next_name
from gateway.core.rules.errors import BadFields
from gateway.store.scripts import ScriptRow


def rows_of(
    action_id: int, texts: Sequence[ScriptText], there: Sequence[ScriptRow], ids: Sequence[int]
) -> list[ScriptRow]:
    """The rows of new scripts, placed after those that are there, archived ones included.

    A blank name becomes the next one of its kind. Raises BadFields for a name that is taken, and for too many.
    """
    if len(there) + len(texts) > MOST_SCRIPTS:
        raise BadFields([("scripts", f"an action has at most {MOST_SCRIPTS} of them")])
    taken = [each.name for each in there]
    places = {
        kind: max((each.place for each in there if each.kind == kind), default=0) for kind in ScriptKind
    }
    rows: list[ScriptRow] = []
    faults: list[tuple[str, str]] = []
    for nth, (script_id, text) in enumerate(zip(ids, texts, strict=True)):
        faults += [(f"scripts[{nth}].{field}", words) for field, words in label_faults(text)]
        name = text.name.strip() or next_name(text.kind, taken)
        if name in taken:
            faults.append((f"scripts[{nth}].name", f"another script is called '{name}'"))
        taken.append(name)
        places[text.kind] += 1
        rows.append(row_of(script_id, action_id, msgspec.structs.replace(text, name=name), places[text.kind]))
    if faults:
        raise BadFields(faults)
    return rows


def label_faults(text: ScriptText) -> list[tuple[str, str]]:
    """The fields that an initial may not have: nothing is known of whoever has not answered yet."""
    if text.kind is ScriptKind.RESPONSE:
        return []
    given = {"tag_ids": text.tag_ids, "fields": text.fields}
    return [(name, "only a response says something of its reader") for name, each in given.items() if each]


def row_of(script_id: int, action_id: int, text: ScriptText, place: int) -> ScriptRow:
    return ScriptRow(
        script_id=script_id,
        action_id=action_id,
        kind=text.kind,
        name=text.name,
        source=text.source,
        place=place,
        tag_ids=list(text.tag_ids),
        fields=msgspec.json.encode(text.fields).decode(),
        media=list(text.media),
    )


def text_of(row: ScriptRow) -> ScriptText:
    return ScriptText(
        kind=ScriptKind(row.kind),
        name=row.name,
        source=row.source,
        tag_ids=tuple(row.tag_ids),
        fields=msgspec.json.decode(row.fields, type=dict[str, str]),
        media=tuple(row.media),
    )
