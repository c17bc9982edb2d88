"""The gateway's settings in a rehearsal: its own, or the operator's as far as virtual time can show them.

A rehearsal decides as the gateway decides, and knows nothing of how fast it is: each answer of the database takes two
seconds of the world whatever the machine, one worker is alone, and there is no network. What is a matter of speed
keeps the rehearsal's own value, and the report says which settings those are.
"""

import msgspec

from gateway.config import CatchUp, Dispatch, Section, Settings, Windows, Workers

ANSWER_S = 2.0  # a statement's time at the database: long, so that PostgreSQL works while the world goes on

# "No window shorter than anybody waits for": a volunteer does not wait for the last press of Send, and
# nobody waits for a receipt.
SETTINGS = Settings(
    windows=Windows(
        admission_s=2.0, delivery_s=20.0, inbound_s=0.5, max_rows=5000, longest_wait_s=3600.0
    ),  # every answer takes seconds
    dispatch=Dispatch(
        horizon_s=2 * ANSWER_S,
        poll_s=5.0,
        idle_poll_s=60.0,
        concurrency=1000,
        look_valid_s=1.5 * ANSWER_S,
        closing_margin_s=60.0,
    ),
    workers=Workers(beat_s=0),
    catch_up=CatchUp(inbound_poll_s=600.0, reconcile_s=21_600.0),  # each look costs wall time
)
# What a rehearsal shows as it is; everything else of an operator's file is a matter of speed, place or secrets.
_SHOWN = {
    "dispatch": ("submit_timeout_s", "closing_margin_s"),
    "opt_outs": ("provider_replies", "confirmation"),
    "catch_up": ("inbound_poll_s", "before_sending", "reconcile_s"),
}


def rehearsed(operators: Settings | None, ours: Settings = SETTINGS) -> Settings:
    """The settings that a rehearsal runs with: its own, under those of the operator's that it can show."""
    if operators is None:
        return ours
    sections = {}
    for section, names in _SHOWN.items():
        theirs = getattr(operators, section)
        shown = {name: getattr(theirs, name) for name in names}
        sections[section] = msgspec.structs.replace(getattr(ours, section), **shown)
    return msgspec.structs.replace(ours, **sections)


def not_rehearsed(operators: Settings | None) -> tuple[str, ...]:
    """What of the operator's settings no rehearsal can show: capacity, and by name what differs from the defaults."""
    if operators is None:
        return ()
    defaults = Settings()
    return "capacity", *(
        f"{section}.{name}"
        for section in Settings.__struct_fields__
        for name in getattr(defaults, section).__struct_fields__
        if name not in _SHOWN.get(section, ()) and _differs(operators, defaults, section, name)
    )


def _differs(operators: Settings, defaults: Settings, section: str, name: str) -> bool:
    theirs: Section = getattr(operators, section)
    return bool(getattr(theirs, name) != getattr(getattr(defaults, section), name))
