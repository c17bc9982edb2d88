"""An endpoint that is switched off is told to the campaign's admins: nobody else would see that the CRM hears nothing."""

from gateway.core.bank.webhooks import Answered
from gateway.p2p.cursors import NEWEST
from gateway.store import user_notices, users
from gateway.store.database import Database
from gateway.store.users import UserRow
from tests.store.conftest import database, dsn  # noqa: F401 - fixtures
from tests.store.rows import KEY, NOW, sending
from tests.upkeep.test_webhooks import Stage, write


async def test_admins_are_told_once_and_nobody_else(database: Database) -> None:  # noqa: F811
    await sending(database, 3)
    for user_id, role in ((8, "volunteer"), (9, "admin")):
        async with database.transaction() as transaction:
            user = UserRow(user_id=user_id, email=f"{role}@example.org", name="Ann", language="en")
            await users.sign_up(transaction, KEY, user, role, NOW)
    stage = Stage(database)
    await stage.endpoint("replied")
    await write(stage, 71, 1)
    stage.receiver.answer = lambda _: Answered(is_taken=False, status=410, is_gone=True)
    for _ in range(2):
        await stage.round()
    [notice] = await user_notices.page(database, KEY, 9, NEWEST, 10)
    assert (notice.kind, notice.about) == ("endpoint", {"endpoint_id": 1})
    assert "crm.example.org" in notice.body
    assert "410" in notice.body
    assert await user_notices.page(database, KEY, 8, NEWEST, 10) == []
