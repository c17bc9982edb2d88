"""What the campaign's admins would have entered for a scenario, and whether it can be used at all."""

from pathlib import Path

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.errors import BadInput
from gateway.core.rules.hours import CampaignHours
from gateway.core.rules.registration import BadRegistration, BrandKind, CampaignKind, Registration, limits
from gateway.core.sending.breakers import BreakerPolicy
from gateway.core.sending.numbers import PoolPolicy
from gateway.core.text.lint import lint
from gateway.core.text.scripts import ScriptFault, compile_script
from gateway.core.text.segments import measure, normalise
from gateway.p2p.bank import Scripts
from gateway.p2p.list_questions import UnclearConsent
from gateway.p2p.lists import read_list
from gateway.store import campaigns
from gateway.store.campaigns import CampaignRow
from gateway.store.database import Database
from simulator.model.draws import Draws
from simulator.model.population import Population
from simulator.model.scenario import Scenario
from simulator.report.result import Plan

_SENDER_FALLBACK = "a volunteer"  # for one whose name nobody knows (F100)


def check(plan: Plan) -> None:
    """Finds what can't be rehearsed before anything is started: registration, scripts, list, number of contacts.

    Raises BadInput or TooManyContacts. Of a list the head is read, and the columns of consent if it has any.
    """
    _check_registration(plan.scenario)
    _check_scripts(plan)
    if plan.list_path is not None and plan.scenario.companions:
        raise BadInput(
            "several campaigns can't share a list of your own",
            f"{plan.scenario.name}: companions",
            "leave --list out, or take a scenario with one campaign",
        )
    if plan.list_path is not None:
        _check_list(plan, plan.list_path)
    else:
        count = plan.contacts or plan.scenario.contacts
        Population.synthetic(plan.scenario.population, count, Draws(plan.seed))


async def create(
    database: Database, campaign_id: int, scenario: Scenario, now: float, *, opt_out_scope: int
) -> None:
    """The campaign's row; its opt-outs hold for all campaigns of the scope."""
    settings = campaign_settings(scenario).to_json()
    row = CampaignRow(campaign_id, opt_out_scope, scenario.campaign.name, settings, paused=False)
    await campaigns.create(database, row, now)


def _check_list(plan: Plan, path: Path) -> None:
    try:
        read_list(path, rejects=plan.rejects, consents=plan.consents)
    except UnclearConsent as asked:
        column = asked.questions[0].column
        do = f"{asked.do}; or say here how to read it: --consent '{column}=nothing' (or =opt-out, =opt-in)"
        raise BadInput(asked.what, asked.where, do) from asked


def _check_registration(scenario: Scenario) -> None:
    try:
        limits(campaign_settings(scenario).registration)
    except BadRegistration as error:
        key = error.where.removeprefix("registration.")
        raise BadInput(error.what, f"{scenario.name}: campaign.{key}", error.do) from error


def _check_scripts(plan: Plan) -> None:
    scripts = scripts_of(plan)
    where = "--script" if plan.script else f"{plan.scenario.name}: campaign"
    for source in scripts.initials:
        _check_script(source, scripts, where, opt_out_suffix=scripts.opt_out_suffix)
    for companion in plan.scenario.companions:
        for source in companion.scripts:
            where = f"{plan.scenario.name}: companions"
            _check_script(source, scripts, where, opt_out_suffix=scripts.opt_out_suffix)
    for source in scripts.responses:
        _check_script(source, scripts, f"{plan.scenario.name}: campaign", opt_out_suffix=False)


def _check_script(source: str, scripts: Scripts, where: str, *, opt_out_suffix: bool) -> None:
    try:
        compile_script(
            source,
            opt_out_suffix=opt_out_suffix,
            contact_fallback=scripts.contact_fallback,
            sender_fallback=scripts.sender_fallback,
        )
    except ScriptFault as fault:
        raise BadInput("a script can't be read", f"{where}: {fault}", "correct it") from fault


def scripts_of(plan: Plan) -> Scripts:
    """The texts of the bank: the scenario's, or the one that was given instead of its initials."""
    campaign = plan.scenario.campaign
    return Scripts(
        initials=(plan.script,) if plan.script else campaign.scripts,
        responses=tuple(response.text for response in campaign.responses),
        opt_out_suffix=campaign.opt_out_suffix,
        contact_fallback=campaign.first_name_fallback,
        sender_fallback=_SENDER_FALLBACK,
    )


def lint_of(scripts: Scripts) -> tuple[str, ...]:
    """What an author would have been told about the initial scripts."""
    findings = [
        finding
        for source in scripts.initials
        for finding in lint(
            source,
            fields={},
            opt_out_suffix=scripts.opt_out_suffix,
            measure=lambda text: measure(normalise(text)).segments,
            contact_fallback=scripts.contact_fallback,
            sender_fallback=scripts.sender_fallback,
        )
    ]
    return tuple(dict.fromkeys(f"{finding.rule}: {finding.message}" for finding in findings))


def campaign_settings(scenario: Scenario) -> CampaignSettings:
    """Hours, registration and pool as the scenario has them; what carriers granted beyond the tables included."""
    campaign = scenario.campaign
    return CampaignSettings(
        hours=CampaignHours(campaign.start_minute, campaign.end_minute, campaign.zone),
        registration=_registration(scenario),
        pool=PoolPolicy(
            preferred_area_codes=campaign.preferred_area_codes,
            rotate_after=campaign.rotate_after,
            settle_s=campaign.settle_s,
        ),
        breakers=BreakerPolicy(
            opens=campaign.breaker.opens,
            least_texts=campaign.breaker.least_texts,
            filtered_warn=min(BreakerPolicy().filtered_warn, campaign.breaker.filtered_share),
            filtered_open=campaign.breaker.filtered_share,
        ),
    )


def _registration(scenario: Scenario) -> Registration:
    campaign, overrides = scenario.campaign, scenario.campaign.overrides
    rates = overrides.carrier_per_s
    return Registration(
        brand_kind=BrandKind(campaign.brand_kind),
        campaign_kind=CampaignKind(campaign.campaign_kind),
        score=campaign.score or None,
        registered=overrides.registered is not False,
        total_per_s=overrides.total_per_s,
        carrier_per_s=None if rates is None else {str(carrier): rate for carrier, rate in rates.items()},
        small_carrier_number_per_s=scenario.carriers.other_per_number_per_s,
        tmobile_daily_cap=overrides.tmobile_daily_segments,
        max_numbers=overrides.max_numbers,
        brand=(campaign.brand or campaign.name) if scenario.companions or campaign.brand else "",
    )
