"""From a list's row to the contact that is stored, with the recipients who share its lawful hours (C1)."""

import msgspec

from gateway.core.rules.hours import group_key
from gateway.core.text.phone import place
from gateway.p2p.lists import ListRow
from gateway.store.contacts import ContactRow


def contact_of(contact_id: int, row: ListRow) -> ContactRow:
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
    )


def hours_group_of(phone: str, zip_code: str, state: str) -> str:
    """The hours group of a phone (E.164), narrowed by a ZIP or an address state where given."""
    where = place(phone)
    return group_key(where.state, where.zones, zip_code=zip_code, address_state=state)
