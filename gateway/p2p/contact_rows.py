"""From a list's row to the contact that is stored."""

import msgspec

from gateway.core.bank.contacts import hours_group_of
from gateway.p2p.lists import ListRow
from gateway.store.contacts import ContactRow

__all__ = ["contact_of", "hours_group_of"]


def contact_of(contact_id: int, row: ListRow, assignee_id: int | None = None) -> ContactRow:
    """The contact of a good row."""
    return ContactRow(
        contact_id=contact_id,
        phone=row.phone,
        hours_group=hours_group_of(row.phone, row.zip, row.state),
        first_name=row.first_name,
        last_name=row.last_name,
        email=row.email,
        zip=row.zip,
        state=row.state,
        line_type=row.line_type,
        carrier=row.carrier,
        fields=msgspec.json.encode(row.fields).decode() if row.fields else None,
        assignee_id=assignee_id,
    )
