"""The text bank put together: what volunteers do with an action's people, over admission and the store."""

from collections.abc import Callable

from gateway.clock import Clock
from gateway.p2p.bank import TextBank
from gateway.p2p.buckets import Buckets
from gateway.p2p.inbox import Inbox
from gateway.p2p.labels import Labels
from gateway.p2p.quiet_inboxes import QuietInboxes
from gateway.p2p.reports import Reports
from gateway.pipeline.admission import Admission
from gateway.pipeline.campaigns import Campaigns
from gateway.pipeline.settling import Settling
from gateway.store.database import Database


def text_bank(
    database: Database,
    campaigns: Campaigns,
    admission: Admission,
    clock: Clock,
    *,
    opted_out: Callable[[], None],
    settling: Settling,
    quiet: QuietInboxes,
) -> tuple[TextBank, Buckets, Inbox, Reports]:
    """The bank, its buckets, its inbox and its reports, which share what they know."""
    stands_on = database, campaigns, admission, clock
    bank = TextBank(*stands_on, opted_out=opted_out, settling=settling, quiet=quiet)
    reports = Reports(database, campaigns, clock, Labels(database, campaigns, clock))
    return bank, Buckets(*stands_on, bank), Inbox(*stands_on, bank, reports), reports
