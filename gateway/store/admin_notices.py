"""What every admin of a campaign is told: a message to each, in the transaction of what it tells of."""

from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store import users
from gateway.store.database import Database
from gateway.store.ids import Ids
from gateway.store.user_notices import UserNotice
from gateway.store.users import MemberFilter

_MOST_ADMINS: Final = 200


async def made(database: Database, ids: Ids, key: CampaignKey, notice: UserNotice) -> list[UserNotice]:
    """The message for each admin: made before the transaction that tells them, which must not wait for another."""
    wanted = MemberFilter(role="admin", active=True)
    admins = await users.members(database, key, wanted, after=0, limit=_MOST_ADMINS)
    return [
        msgspec.structs.replace(notice, notice_id=notice_id, user_id=admin.user_id)
        for notice_id, admin in zip(await ids.take(len(admins)), admins, strict=True)
    ]
