"""What a statement is given as JSON: one record, or many rows as one argument, read in SQL by `json_to_recordset`.

One argument costs the client a tenth of an array a column, and the statement names each column once.
"""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey

_encoder = msgspec.json.Encoder()


def as_json(value: object) -> str:
    """One record, or whatever else msgspec can encode."""
    return _encoder.encode(value).decode()


def as_rows(records: Sequence[msgspec.Struct]) -> str:
    """The records as JSON, keys as the fields are named. Floats must be finite."""
    return as_json(records)


def as_columns(keys: Sequence[CampaignKey]) -> tuple[list[int], list[int]]:
    """Campaigns as two arrays, organisations and campaigns, for a statement about several: `unnest($1, $2)`."""
    return [key.organisation_id for key in keys], [key.campaign_id for key in keys]
