"""What scripts may say of a person: the contact's own columns and its custom fields (F095, F101)."""

import msgspec

from gateway.core.text.scripts import Values
from gateway.store.publishing import Person


def values_of(person: Person) -> Values:
    values = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "full_name": f"{person.first_name} {person.last_name}".strip(),
        "email": person.email,
        "phone": person.phone,
        "state_abbrev": person.state,
    }
    if person.fields:
        values.update(msgspec.json.decode(person.fields, type=dict[str, str]))
    return values
