"""A campaign's volunteers: how they behave is the model's, what their phones ask for is the bank's."""

from collections.abc import Callable, Sequence

import simpy

from gateway.app import Gateway
from simulator.model.draws import Draws
from simulator.model.scenario import Scenario
from simulator.model.volunteers import Volunteers
from simulator.rehearsal.bank import BankOfVolunteers
from simulator.rehearsal.loop import VirtualLoop


def staffed(
    env: simpy.Environment,
    loop: VirtualLoop,
    scenario: Scenario,
    draws: Draws,
    living: Callable[[], Gateway | None],
    *,
    campaign_id: int,
    action_id: int,
    contacts: int,
    senders: Sequence[str],
) -> tuple[BankOfVolunteers, Volunteers]:
    """Everybody who texts for an action, and their phones; `living` is the gateway that lives, or None."""
    parameters = scenario.volunteers
    bank = BankOfVolunteers(
        loop,
        living,
        draws,
        campaign_id=campaign_id,
        action_id=action_id,
        contacts=contacts,
        bucket=parameters.bucket,
        first_names=senders,
    )
    volunteers = Volunteers(
        env,
        parameters,
        draws,
        bank,
        contacts=contacts,
        duration_s=scenario.duration_s,
        responses=[response.name for response in scenario.campaign.responses],
    )
    bank.texting = volunteers.texting
    return bank, volunteers
