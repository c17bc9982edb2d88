"""Who may do what, and on whose: one table (act × role × whose).

A role belongs to a person in one campaign, or to an API key. Whatever an actor may not even see is answered as if
it were not there (`Reach.NOTHING`): nobody learns from a refusal that somebody else's campaign exists.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

import msgspec


class Role(Enum):
    """People's roles in a campaign, then those of API keys."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    VOLUNTEER = "volunteer"
    KEY_ADMIN = "key_admin"
    KEY_SENDER = "key_sender"
    KEY_READER = "key_reader"


PEOPLE_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR, Role.VOLUNTEER)
"""The roles that a person may have."""

KEY_ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {"reader": Role.KEY_READER, "sender": Role.KEY_SENDER, "admin": Role.KEY_ADMIN}
)
"""An API key's role by the word with which it is made; each may all that the one before may."""


class Reach(IntEnum):
    """On whose things an act is allowed, within the actor's campaign."""

    NOTHING = 0
    OWN = 1  # what is assigned to, or was made by, the actor
    CAMPAIGN = 2


class Act(Enum):
    """What can be done. One act for what is always allowed together."""

    READ_CAMPAIGN = "read campaign"
    CHANGE_CAMPAIGN = "change campaign"  # settings, pause, registration
    READ_NUMBERS = "read numbers"
    MANAGE_PEOPLE = "manage people"  # invite, roles, deactivate
    READ_PEOPLE = "read people"
    IMPORT_CONTACTS = "import contacts"
    READ_CONTACTS = "read contacts"
    CHANGE_CONTACTS = "change contacts"  # names, fields, lists made of those whom filters let through
    ERASE_CONTACTS = "erase contacts"
    SEND = "send"  # first texts
    READ_CONVERSATIONS = "read conversations"
    ANSWER = "answer"  # replies, archive, who is looking
    REPORT = "report"  # tags, fields, a person's opt-out
    READ_MESSAGES = "read messages"  # of everybody, with their stories
    READ_LABELS = "read labels"  # the catalogue of tags and fields; a report shows its own part of it
    CHANGE_LABELS = "change labels"
    USE_LISTS = "use lists"  # of people, and teams
    REASSIGN = "reassign"  # many contacts, or whole volunteers
    REACH_PEOPLE = "reach people"  # messages and mails to the campaign's people
    EXPORT = "export"  # everything of everybody, as files; results and evidence
    READ_ACTIONS = "read actions"  # those that are for the actor, or all with their drafts
    MANAGE_ACTIONS = "manage actions"  # make, change, publish; scripts and tracked links


_N, _O, _C = Reach.NOTHING, Reach.OWN, Reach.CAMPAIGN
_ORDER: Final = (
    Role.ADMIN,
    Role.SUPERVISOR,
    Role.VOLUNTEER,
    Role.KEY_ADMIN,
    Role.KEY_SENDER,
    Role.KEY_READER,
)
_TABLE: Final = {
    # act                        admin  superv. volunt. key_admin key_sender key_reader
    Act.READ_CAMPAIGN: (_C, _C, _C, _C, _C, _C),
    Act.CHANGE_CAMPAIGN: (_C, _N, _N, _C, _N, _N),
    Act.READ_NUMBERS: (_C, _C, _N, _C, _C, _C),
    Act.MANAGE_PEOPLE: (_C, _N, _N, _C, _N, _N),
    Act.READ_PEOPLE: (_C, _C, _O, _C, _N, _N),
    Act.IMPORT_CONTACTS: (_C, _N, _N, _C, _C, _N),
    Act.READ_CONTACTS: (_C, _C, _O, _C, _C, _C),
    Act.CHANGE_CONTACTS: (_C, _C, _N, _C, _C, _N),
    Act.ERASE_CONTACTS: (_C, _N, _N, _C, _N, _N),
    Act.SEND: (_C, _C, _O, _C, _C, _N),
    Act.READ_CONVERSATIONS: (_C, _C, _O, _C, _C, _C),
    Act.ANSWER: (_C, _C, _O, _C, _C, _N),
    Act.REPORT: (_C, _C, _O, _C, _C, _N),
    Act.READ_MESSAGES: (_C, _C, _N, _C, _C, _C),
    Act.READ_LABELS: (_C, _C, _N, _C, _C, _C),
    Act.CHANGE_LABELS: (_C, _N, _N, _C, _N, _N),
    Act.USE_LISTS: (_C, _C, _N, _C, _N, _N),
    Act.REASSIGN: (_C, _C, _N, _C, _N, _N),
    Act.REACH_PEOPLE: (_C, _N, _N, _C, _N, _N),
    Act.EXPORT: (_C, _C, _N, _C, _C, _C),
    Act.READ_ACTIONS: (_C, _C, _O, _C, _C, _C),
    Act.MANAGE_ACTIONS: (_C, _N, _N, _C, _N, _N),
}
PERMISSIONS: Final[Mapping[Act, Mapping[Role, Reach]]] = MappingProxyType(
    {act: MappingProxyType(dict(zip(_ORDER, row, strict=True))) for act, row in _TABLE.items()}
)


class Actor(msgspec.Struct, frozen=True):
    """Whoever acts: a person (`user_id`) in one campaign, or an API key (`key_id`)."""

    role: Role
    user_id: int | None = None
    key_id: str | None = None

    @property
    def name(self) -> str:
        """Who it is, for what is written down: `user:<id>` or `key:<id>`."""
        return f"key:{self.key_id}" if self.user_id is None else f"user:{self.user_id}"

    def reach(self, act: Act) -> Reach:
        """On whose things the actor may do this."""
        return PERMISSIONS[act][self.role]

    def may(self, act: Act, owner_id: int | None = None) -> bool:
        """Whether the actor may do this to what belongs to `owner_id` (None: to nobody in particular)."""
        reach = self.reach(act)
        if reach is Reach.OWN:
            return self.user_id is not None and owner_id == self.user_id
        return reach is Reach.CAMPAIGN
