"""The ledger of one campaign out of a world with several: what the auditor of that campaign is given."""

import copy

import numpy as np

from simulator.model.ledger import Ledger, Table


def of_campaign(ledger: Ledger, campaign: int) -> Ledger:
    """The tables of a campaign: its texts, known by their place among its own, its numbers, and who answered.

    People's texts keep their places, so that their ids stay; only those to this campaign's numbers were delivered.
    Running totals and prices stay those of the whole world.
    """
    sent = ledger.submissions.columns()
    is_ours = sent["campaign"] == campaign
    place = np.cumsum(is_ours) - 1

    def about_ours(table: Table) -> Table:
        rows = table.columns()
        rows = rows[is_ours[rows["n"]]]
        rows["n"] = place[rows["n"]]
        return table.of_rows(rows)

    purchases = ledger.purchases.columns()
    purchases = purchases[purchases["campaign"] == campaign]
    refusals, releases = ledger.refusals.columns(), ledger.releases.columns()
    heard, deliveries = ledger.inbound.columns(), ledger.inbound_deliveries.columns()
    part = copy.copy(ledger)
    part.submissions = ledger.submissions.of_rows(sent[is_ours])
    part.refusals = ledger.refusals.of_rows(refusals[refusals["campaign"] == campaign])
    part.accepts = about_ours(ledger.accepts)
    part.finals = about_ours(ledger.finals)
    part.statuses = about_ours(ledger.statuses)
    part.arrivals = about_ours(ledger.arrivals)
    part.inbound_deliveries = ledger.inbound_deliveries.of_rows(
        deliveries[heard["campaign"][deliveries["n"]] == campaign]
    )
    part.purchases = ledger.purchases.of_rows(purchases)
    part.releases = ledger.releases.of_rows(releases[np.isin(releases["number"], purchases["number"])])
    return part
