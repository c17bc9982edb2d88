"""What the door stands on, handed in by the composition root."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from gateway.clock import Clock
from gateway.http.access import Keys
from gateway.http.readiness import Asked
from gateway.metrics import Metrics
from gateway.p2p.actions import Actions
from gateway.p2p.announcements import Announcements
from gateway.p2p.audit import AuditLog
from gateway.p2p.bank import TextBank
from gateway.p2p.buckets import Buckets
from gateway.p2p.campaigns import CampaignAdmin
from gateway.p2p.company import Company
from gateway.p2p.consents import Consents
from gateway.p2p.contact_book import ContactBook
from gateway.p2p.contacts import ContactLists
from gateway.p2p.endpoints import Endpoints
from gateway.p2p.evidence import EvidencePacks
from gateway.p2p.exports import Exports
from gateway.p2p.inbox import Inbox
from gateway.p2p.labels import Labels
from gateway.p2p.limits import LimitsTold
from gateway.p2p.links import Links
from gateway.p2p.live import Live
from gateway.p2p.messages import Messages
from gateway.p2p.numbers import Numbers
from gateway.p2p.opt_out_scopes import OptOutScopes
from gateway.p2p.opt_outs import OptOuts
from gateway.p2p.outcomes import Outcomes
from gateway.p2p.own_texts import OwnTexts
from gateway.p2p.password_resets import PasswordResets
from gateway.p2p.people import People
from gateway.p2p.pictures import Pictures
from gateway.p2p.preferences import OwnPreferences
from gateway.p2p.progress import Progress
from gateway.p2p.publishing import Publishing
from gateway.p2p.reassignments import Reassignments
from gateway.p2p.received_pictures import ReceivedPictures
from gateway.p2p.reports import Reports
from gateway.p2p.results import Results
from gateway.p2p.script_checks import ScriptChecks
from gateway.p2p.scripts import ScriptBook
from gateway.p2p.sign_in import SignIn
from gateway.p2p.sign_in_codes import SignInCodes
from gateway.p2p.suppression import SuppressionLists
from gateway.p2p.text_again import TextAgain
from gateway.p2p.usage import UsageBook
from gateway.p2p.user_lists import UserLists
from gateway.p2p.user_notices import UserNotices
from gateway.p2p.volunteers import Volunteers
from gateway.pipeline.admission import Admission
from gateway.pipeline.breakers import Breakers
from gateway.pipeline.campaigns import Campaigns
from gateway.providers.base import InboundText, Sink, StatusReport


class Signed(Protocol):
    def __call__(self, url: str, form: list[tuple[str, str]], given: str) -> bool: ...


class ReadStatus(Protocol):
    def __call__(self, form: Mapping[str, str], query: Mapping[str, str], *, at: float) -> StatusReport: ...


class ReadText(Protocol):
    def __call__(self, form: Mapping[str, str], *, at: float) -> InboundText: ...


class WebhookDoor(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider calls us back: `/webhooks/{name}/status` and `/webhooks/{name}/inbound`.

    The readers raise BadInput for a form that is none of ours. `public_url` is what the provider calls, and
    signs: a proxy may show another host and path than we listen on.
    """

    name: str
    public_url: str
    signature_header: str
    is_signed: Signed
    status_report: ReadStatus
    inbound_text: ReadText
    inbound_answer: str = ""


class Parts(msgspec.Struct, kw_only=True):
    """The gateway as the door sees it. `closing` is set when a drain begins."""

    clock: Clock
    metrics: Metrics
    look: Callable[[], None]  # brings the gauges up to date, before a scrape
    campaigns: Campaigns
    admission: Admission
    sink: Sink
    keys: Keys
    audit_log: AuditLog
    campaign_admin: CampaignAdmin
    contacts: ContactLists
    contact_book: ContactBook
    consents: Consents
    messages: Messages
    numbers: Numbers
    sign_in: SignIn
    sign_in_codes: SignInCodes
    password_resets: PasswordResets
    people: People
    preferences: OwnPreferences
    user_lists: UserLists
    company: Company
    announcements: Announcements
    reassignments: Reassignments
    user_notices: UserNotices
    bank: TextBank
    buckets: Buckets
    volunteers: Volunteers
    outcomes: Outcomes
    inbox: Inbox
    live: Live
    opt_outs: OptOuts
    opt_out_scopes: OptOutScopes
    suppression: SuppressionLists
    endpoints: Endpoints
    breakers: Breakers
    limits: LimitsTold
    labels: Labels
    actions: Actions
    publishing: Publishing
    scripts: ScriptBook
    script_checks: ScriptChecks
    links: Links
    own_texts: OwnTexts
    pictures: Pictures
    reports: Reports
    exports: Exports
    evidence: EvidencePacks
    results: Results
    text_again: TextAgain
    usage: UsageBook
    progress: Progress
    received_pictures: ReceivedPictures
    asked: dict[str, Asked]  # who must answer before we call ourselves ready
    closing: bool = False
