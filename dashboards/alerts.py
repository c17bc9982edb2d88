"""What somebody is told, and who: pages on what people feel, tickets on what will hurt them. Causes are on the boards.

An alert is a list of conditions that hold at once; their values have data while all is well, so a test can ask for them.
Each leads to a panel and to a runbook.
"""

from typing import Final

from dashboards.alert import Alert, more
from dashboards.queries import quantile, rate, share, total
from dashboards.resources import RATIO
from dashboards.worker_alerts import OF_WORKERS

_HOUR_S = 3600


_FINALS, _FILTERED, _BOUND = (
    "carrier:finals:increase30m",
    "carrier:filtered:ratio30m",
    "carrier:filtered:lower_bound30m",
)
_LEFT, _LEFT_BOUND = "environment:optouts:ratio1h", "environment:optouts:lower_bound1h"
_CALLS = total("increase(p2p_provider_requests_total[5m])", "environment")
_BAD_CALLS = rate('p2p_provider_requests_total{outcome=~"throttled|error|timeout"}', "5m", "environment")
_WEBHOOKS = rate("p2p_webhooks_total", "5m", "environment")

ALERTS: Final = (
    # ------------------------------------------------------------ never wrong to a person, nothing lost
    Alert(
        name="BooksDisagree",
        severity="page",
        conditions=(
            more(total("increase(p2p_reconciliation_differences_total[15m])", "environment, difference"), 0),
        ),
        for_="0m",
        summary="The provider's list and our books differ about a text",
        means="Somebody may have been texted whom the books do not know, or twice, or not at all.",
        board="bank-day",
        panel="Do the books agree with the provider?",
        runbook="books-disagree",
    ),
    Alert(
        name="StopIsSlow",
        severity="page",
        conditions=(more(quantile(0.99, "p2p_optout_apply_seconds", "5m", "environment"), 1),),
        for_="5m",
        summary="A STOP takes more than a second to be in force",
        means="Until it is in force, a person who left may be texted once more by a text already claimed.",
        board="slo",
        panel="Is a STOP in force within 1 s?",
        runbook="stop-is-slow",
    ),
    Alert(
        name="RepliesMayBeLost",
        severity="page",
        conditions=(more("max by (environment) (p2p_inbound_gap_seconds)", 120),),
        for_="1m",
        summary="Sending waits for people's texts that may have been lost",
        means="Nothing goes out until the provider's list of inbound texts has been read: a STOP may be among them.",
        board="runtime",
        panel="Does sending wait for texts that may be lost?",
        runbook="inbound-gap",
    ),
    Alert(
        name="MessagesStuck",
        severity="ticket",
        conditions=(more("sum by (environment, state) (p2p_stuck_messages)", 0),),
        for_="10m",
        summary="Messages have not left a state that they should have left",
        means="Nobody knows yet whether they went out; recovery asks the provider about them.",
        board="queues",
        panel="Is anything stuck?",
        runbook="messages-stuck",
    ),
    # ------------------------------------------------------------ the bank
    Alert(
        name="ReplyLaneStarved",
        severity="page",
        conditions=(more('max by (environment) (p2p_queue_oldest_age_seconds{lane="reply"})', 30),),
        for_="2m",
        summary="An answer to a person has waited for more than 30 s",
        means="Replies go before first texts: this is no backlog, something stands still.",
        board="queues",
        panel="For how long has the oldest waited?",
        runbook="reply-lane-starved",
    ),
    Alert(
        name="QueueWillExpire",
        severity="page",
        conditions=(more("max by (environment) (p2p_queue_drain_eta_seconds)", 4 * _HOUR_S),),
        for_="10m",
        summary="What waits needs more than four hours",
        means="What has not gone when the hours end is blocked with 1202.",
        board="queues",
        panel="When will the queue be empty?",
        runbook="queue-will-expire",
    ),
    Alert(
        name="DailyCapForecast",
        severity="ticket",
        conditions=(
            more(f'predict_linear({RATIO}{{resource="tmobile_day"}}[1h], {4 * _HOUR_S})', 1),
            more(f'{RATIO}{{resource="tmobile_day"}}', 0.5),
        ),
        for_="15m",
        summary="T-Mobile's day will be used up within four hours",
        means="Afterwards texts to T-Mobile wait until midnight in Los Angeles.",
        board="queues",
        panel="How much of T-Mobile's day is used?",
        runbook="daily-cap",
    ),
    Alert(
        name="NoNumber",
        severity="page",
        conditions=(
            more(total('increase(p2p_number_selection_total{outcome="none"}[5m])', "environment"), 0),
        ),
        for_="1m",
        summary="Texts find no number to go out from",
        means="They end blocked with 1203.",
        board="numbers",
        panel="How are numbers chosen?",
        runbook="no-number",
    ),
    Alert(
        name="CarriersDoNotKnowUs",
        severity="page",
        conditions=(more(total("increase(p2p_numbers_refused_total[15m])", "environment, code"), 10),),
        for_="1m",
        summary="Carriers refuse our numbers as unregistered",
        means="30034: the campaign is not registered; 30035: a number is not in it. Every further text costs a fee.",
        board="numbers",
        panel="Which numbers do carriers not know?",
        runbook="unregistered",
    ),
    Alert(
        name="SpendRunaway",
        severity="ticket",
        conditions=(
            more(
                "environment:cost_dollars:per_hour / on () group_left () (plan:cost_dollars:per_hour > 0)",
                1.5,
            ),
        ),
        for_="15m",
        summary="An hour costs half as much again as planned",
        means="Longer texts than planned, another alphabet, or more of them.",
        board="cost",
        panel="What does an hour cost, against the plan?",
        runbook="spend-runaway",
    ),
    # ------------------------------------------------------------ carriers and people
    Alert(
        name="CarrierFilters",
        severity="ticket",
        conditions=(more(_BOUND, 0.02), more(_FINALS, 200)),
        for_="5m",
        on="environment, carrier",
        summary="A carrier filters more than 2 % of our texts",
        means="At least that share, 97.5 times in 100.",
        board="carriers",
        panel="Which carrier filters us?",
        runbook="carrier-filtering",
    ),
    Alert(
        name="CarrierFiltersMuch",
        severity="page",
        conditions=(more(_BOUND, 0.05), more(_FINALS, 200)),
        for_="5m",
        on="environment, carrier",
        summary="A carrier filters more than 5 % of our texts",
        means="Every further text makes it worse: stop that script.",
        board="carriers",
        panel="Which carrier filters us?",
        runbook="carrier-filtering",
    ),
    Alert(
        name="CarrierFails",
        severity="ticket",
        conditions=(more("carrier:failed:lower_bound30m", 0.15), more(_FINALS, 100)),
        for_="2m",
        on="environment, carrier",
        summary="A carrier fails more than 15 % of our texts",
        means="Neither filtered nor a wrong number: the carrier is ill, or does not take us.",
        board="carriers",
        panel="Which carrier fails our texts?",
        runbook="carrier-fails",
    ),
    Alert(
        name="ManyLeave",
        severity="ticket",
        conditions=(more(_LEFT_BOUND, 0.02), more("environment:delivered:increase1h", 200)),
        for_="5m",
        summary="More than 2 % of the people texted leave",
        means="At least that share, 97.5 times in 100.",
        board="bank-day",
        panel="How many people leave?",
        runbook="opt-outs-high",
    ),
    Alert(
        name="VeryManyLeave",
        severity="page",
        conditions=(more(_LEFT_BOUND, 0.04), more("environment:delivered:increase1h", 200)),
        for_="5m",
        summary="More than 4 % of the people texted leave",
        means="Carriers suspend campaigns for that.",
        board="bank-day",
        panel="How many people leave?",
        runbook="opt-outs-high",
    ),
    Alert(
        name="ReceiptsMissing",
        severity="ticket",
        conditions=(
            more("environment:unsettled:ratio30m", 0.2),
            more("environment:taken:increase30m", 100),
        ),
        for_="5m",
        summary="A fifth of the texts of 30 minutes has no last word",
        means="A carrier holds its receipts back, or our webhooks do not come through.",
        board="carriers",
        panel="How many texts have no last word?",
        runbook="receipts-missing",
    ),
    # ------------------------------------------------------------ the provider
    Alert(
        name="ProviderDegraded",
        severity="page",
        conditions=(
            more(share(_BAD_CALLS, rate("p2p_provider_requests_total", "5m", "environment")), 0.05),
            more(_CALLS, 50),
        ),
        for_="5m",
        summary="More than 5 % of the calls to the provider fail",
        means="Throttled, an error or no answer; each is tried again or asked about, none is lost.",
        board="red",
        panel="What does the provider answer?",
        runbook="provider-degraded",
    ),
    Alert(
        name="WebhooksForged",
        severity="page",
        conditions=(more(rate('p2p_webhooks_total{result="bad_signature"}', "5m", "environment"), 0.1),),
        for_="5m",
        summary="Webhooks come with a bad signature",
        means="Our public address or token is not what the provider signs with, or somebody tries.",
        board="red",
        panel="What becomes of webhooks?",
        runbook="webhooks-refused",
    ),
    Alert(
        name="WebhooksUnknown",
        severity="ticket",
        conditions=(
            more(share(rate('p2p_webhooks_total{result="unknown"}', "5m", "environment"), _WEBHOOKS), 0.01),
            more(total("increase(p2p_webhooks_total[5m])", "environment"), 50),
        ),
        for_="10m",
        summary="More than 1 % of the webhooks are about nothing of ours",
        means="Another system shares the account, or a webhook of another environment comes here.",
        board="red",
        panel="What becomes of webhooks?",
        runbook="webhooks-refused",
    ),
    *OF_WORKERS,
)
