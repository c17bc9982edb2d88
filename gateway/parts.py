"""What the door stands on, put together: the use cases of a worker over its gateway."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.app import Gateway, publishing_of
from gateway.config import Settings
from gateway.core.bank.webhooks import networks
from gateway.core.sending.numbers import NumberPool
from gateway.entropy import secret
from gateway.http.access import Keys
from gateway.http.parts import Parts
from gateway.http.readiness import Asked
from gateway.p2p.actions import Actions
from gateway.p2p.announcements import Announcements
from gateway.p2p.audit import AuditLog
from gateway.p2p.campaigns import CampaignAdmin
from gateway.p2p.company import Company
from gateway.p2p.consents import Consents
from gateway.p2p.contact_book import ContactBook
from gateway.p2p.contacts import ContactLists
from gateway.p2p.endpoints import Endpoints
from gateway.p2p.evidence import EvidencePacks
from gateway.p2p.exports import Exports
from gateway.p2p.keys import ApiKeys
from gateway.p2p.labels import Labels
from gateway.p2p.limits import LimitsTold
from gateway.p2p.live import Live
from gateway.p2p.messages import Messages
from gateway.p2p.numbers import Numbers
from gateway.p2p.opt_out_scopes import OptOutScopes
from gateway.p2p.opt_outs import OptOuts
from gateway.p2p.outcomes import Outcomes
from gateway.p2p.own_texts import OwnTexts
from gateway.p2p.password_resets import PasswordResets
from gateway.p2p.passwords import Passwords
from gateway.p2p.people import People
from gateway.p2p.pictures import Pictures
from gateway.p2p.preferences import OwnPreferences
from gateway.p2p.progress import Progress
from gateway.p2p.reassignments import Reassignments
from gateway.p2p.received_pictures import ReceivedPictures
from gateway.p2p.remembered import Remembered
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
from gateway.pipeline.look_ups import RememberedLookUps
from gateway.pipeline.received_media import ReceivedMedia
from gateway.post import post_of
from gateway.providers.base import Provider, Refused

_PROVIDER_KEPT_S: Final = 15.0  # a provider's answer is good for so long: probes come every few seconds


def door_parts(gateway: Gateway, settings: Settings, provider: Provider, asked: dict[str, Asked]) -> Parts:
    """The parts of a worker's door. `asked`: who must answer before it calls itself ready, beside the provider."""
    database, clock, now = gateway.database, gateway.clock, gateway.clock.now
    if hasattr(provider, "check"):
        asked["provider"] = Asked(lambda: ask_provider(provider), kept_s=_PROVIDER_KEPT_S)
    look_ups = RememberedLookUps(
        database,
        clock,
        provider.look_up,
        max_age_s=settings.provider.look_up_max_age_s,
    )

    def live_pool(campaign_id: int) -> NumberPool | None:
        road = gateway.dispatch.roads.get(campaign_id)
        return None if road is None else road.pool

    def asks_second_factor(campaign_id: int) -> bool:
        known = gateway.campaigns
        return campaign_id in known and known[campaign_id].settings.admins_need_second_factor

    passwords, post = Passwords(), post_of(settings)
    sign_in = SignIn(database, clock, passwords, secret)
    labels = Labels(database, gateway.campaigns, clock)
    reports = Reports(database, gateway.campaigns, clock, labels)
    shared = database, gateway.campaigns, clock
    actions = Actions(*shared, secret)
    reassignments = Reassignments(database, gateway.campaigns, clock, gateway.bank)

    def opted_out(count: int) -> None:
        gateway.metrics.opt_outs("import", count)

    messages = Messages(database, now, lambda: gateway.dispatch.inbound_gap.why)
    return Parts(
        clock=clock,
        metrics=gateway.metrics,
        look=gateway.look,
        campaigns=gateway.campaigns,
        admission=gateway.admission,
        sink=gateway,
        keys=Keys(ApiKeys(database, now), Remembered(sign_in.find), asks_second_factor),
        audit_log=AuditLog(database),
        campaign_admin=CampaignAdmin(database, gateway.campaigns, now, gateway.adopt, secret),
        contacts=ContactLists(database, now, look_ups.look_up, opted_out, gateway.settling.settle),
        contact_book=ContactBook(database, gateway.campaigns, clock, gateway.settling.settle),
        consents=Consents(database, clock),
        messages=messages,
        numbers=Numbers(database, now, live_pool),
        sign_in=sign_in,
        sign_in_codes=SignInCodes(database, clock, passwords, secret, sign_in, post),
        password_resets=PasswordResets(database, clock, passwords, secret, post, settings.http.public_url),
        preferences=OwnPreferences(database, gateway.campaigns, clock),
        reassignments=reassignments,
        company=Company(database, gateway.campaigns, clock, reassignments),
        announcements=Announcements(
            database, gateway.campaigns, clock, can_mail=settings.mail.url is not None
        ),
        user_lists=UserLists(database, gateway.campaigns, clock),
        user_notices=UserNotices(database, gateway.campaigns, clock),
        people=People(database, clock, passwords, secret, sign_in),
        bank=gateway.bank,
        buckets=gateway.buckets,
        volunteers=Volunteers(database, clock),
        outcomes=Outcomes(database, gateway.campaigns, gateway.admission),
        inbox=gateway.inbox,
        live=Live(database, clock, epoch=secret(6).hex()),
        opt_outs=OptOuts(database, gateway.campaigns),
        opt_out_scopes=OptOutScopes(*shared),
        suppression=SuppressionLists(database, clock, opted_out, gateway.settling.settle),
        breakers=gateway.breaker_watch.breakers,
        limits=LimitsTold(database),
        endpoints=Endpoints(database, clock, secret, bool(networks(settings.webhooks.allowed_networks))),
        labels=labels,
        actions=actions,
        publishing=publishing_of(gateway),
        links=gateway.links,
        pictures=Pictures(*shared, secret, settings.http.public_url or ""),
        own_texts=OwnTexts(*shared, actions, gateway.admission),
        scripts=ScriptBook(*shared, actions, labels),
        script_checks=ScriptChecks(*shared, actions),
        reports=reports,
        evidence=EvidencePacks(database, now, messages),
        exports=Exports(database, now, settings.http.public_url or ""),
        results=Results(database, now),
        text_again=TextAgain(database, now),
        usage=UsageBook(database),
        progress=Progress(database, now),
        received_pictures=ReceivedPictures(*shared, ReceivedMedia(provider).fetch),
        asked=asked,
    )


async def ask_provider(provider: Provider) -> None:
    """Raises ProviderError when the provider does not answer, or says what is wrong with our account."""
    check: Callable[[], Awaitable[Sequence[str]]] | None = getattr(provider, "check", None)
    if check is not None and (wrong := await check()):
        raise Refused(text="; ".join(wrong))
