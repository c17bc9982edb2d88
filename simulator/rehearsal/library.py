"""A rehearsal as a function call, in a script or in a notebook."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from gateway.config import Log
from gateway.logs import configure_ours
from simulator.model.scenario import load
from simulator.rehearsal import campaign_setup, run
from simulator.report.result import Plan, Rehearsed


def rehearsed(
    scenario: str | Path,
    contacts: int | None,
    contact_list: str | Path | None,
    consents: Mapping[str, str] | None,
    script: str | None,
    seed: int,
    dsn: str | None,
) -> Rehearsed:
    """See `simulator.rehearse`. Where an event loop runs already, in a thread with a loop of its own."""
    if not structlog.is_configured():
        configure_ours(
            Log(level="error")
        )  # standard output is the caller's, and a result tells what happened
    plan = Plan(
        scenario=load(str(scenario)),
        contacts=contacts,
        list_path=None if contact_list is None else Path(contact_list),
        consents=consents or {},
        script=script,
        seed=seed,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _checked(plan, dsn)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_checked, plan, dsn).result()


def _checked(plan: Plan, dsn: str | None) -> Rehearsed:
    campaign_setup.check(plan)
    return run.rehearse(plan, dsn=dsn)
