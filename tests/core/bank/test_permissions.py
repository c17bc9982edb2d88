"""The table of permissions: whole, and what the roles are for."""

import pytest

from gateway.core.bank.permissions import PERMISSIONS, Act, Actor, Reach, Role

ADMIN, SUPERVISOR = Actor(Role.ADMIN, user_id=1), Actor(Role.SUPERVISOR, user_id=2)
VOLUNTEER = Actor(Role.VOLUNTEER, user_id=3)
READER = Actor(Role.KEY_READER, key_id="0123456789ab")


@pytest.mark.parametrize("act", Act)
def test_every_act_says_something_of_every_role(act: Act):
    assert set(PERMISSIONS[act]) == set(Role)


@pytest.mark.parametrize("act", Act)
def test_an_admin_may_everything_and_nobody_reaches_further(act: Act):
    assert ADMIN.reach(act) is Reach.CAMPAIGN
    assert VOLUNTEER.reach(act) <= SUPERVISOR.reach(act)


def test_a_volunteer_reaches_their_own_conversations_alone():
    for act in (Act.READ_CONVERSATIONS, Act.ANSWER, Act.REPORT):
        assert VOLUNTEER.may(act, owner_id=3)
        assert not VOLUNTEER.may(act, owner_id=2)
        assert not VOLUNTEER.may(act)
        assert SUPERVISOR.may(act, owner_id=3)


def test_who_only_reads_changes_nothing():
    changing = {Act.CHANGE_CAMPAIGN, Act.MANAGE_PEOPLE, Act.IMPORT_CONTACTS, Act.SEND, Act.ANSWER, Act.REPORT}
    assert {act for act in Act if not READER.may(act)} >= changing
    assert not VOLUNTEER.may(Act.MANAGE_PEOPLE, owner_id=3)


def test_a_key_owns_nothing():
    """A key that says it is nobody's must not reach what is nobody's."""
    assert not Actor(Role.VOLUNTEER, key_id="0123456789ab").may(Act.ANSWER, owner_id=None)
