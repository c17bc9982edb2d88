"""Many rows as one argument: a JSON array of records, read in SQL by `json_to_recordset`.

One argument costs the client a tenth of an array a column, and the statement names each column once.
"""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey

_encoder = msgspec.json.Encoder()


def as_rows(records: Sequence[msgspec.Struct]) -> str:
    """The records as JSON, keys as the fields are named. Floats must be finite."""
    return _encoder.encode(records).decode()


def as_columns(keys: Sequence[CampaignKey]) -> tuple[list[int], list[int]]:
    """Campaigns as two arrays, organisations and campaigns, for a statement about several: `unnest($1, $2)`."""
    return [key.organisation_id for key in keys], [key.campaign_id for key in keys]
