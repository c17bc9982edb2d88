"""The numbers that texts go out from."""

from dashboards.panels import Board, Panel, Query
from dashboards.queries import rate, total

BOARD = Board(
    name="numbers",
    title="Numbers",
    asks="Have we the numbers that we need?",
    says=(
        "Which number it is, Prometheus does not know: a label would grow with the pool. "
        "`GET /v1/campaigns/{campaign_id}/numbers` has each one, its state, texts and refusals; "
        "the database has the rest: "
        "`SELECT number_id, state, count(*) FROM messages WHERE organisation_id = … AND campaign_id = … "
        "GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10`."
    ),
    panels=(
        Panel(
            question="What state are the numbers in?",
            unit="short",
            stacked=True,
            queries=(Query("sum by (state) (p2p_numbers)", "{{state}}"),),
            means="Of the campaigns that workers own.",
        ),
        Panel(
            question="How are numbers chosen?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_number_selection_total", by="outcome"), "{{outcome}}"),),
            means="Sticky: the number of the conversation. None: the text ends blocked with 1203.",
        ),
        Panel(
            question="Why are numbers bought?",
            unit="short",
            decimals=0,
            kind="bars",
            queries=(Query(total("increase(p2p_numbers_bought_total[$__range])", "reason"), "{{reason}}"),),
            means="In the time shown.",
        ),
        Panel(
            question="Which numbers do carriers not know?",
            unit="short",
            queries=(Query(total("increase(p2p_numbers_refused_total[15m])", "code"), "{{code}}"),),
            means="30034: the campaign is not registered. 30035: a number is not in it.",
            limit=10,
        ),
        Panel(
            question="Why is no number bought?",
            unit="short",
            queries=(Query("sum by (reason) (p2p_campaigns_without_purchases)", "{{reason}}"),),
            means="Campaigns that buy none, by why.",
        ),
        Panel(
            question="How full is the fullest pool?",
            unit="percentunit",
            limit=1.0,
            queries=(Query('max(resource:saturation:ratio{resource="numbers"})', "of its most"),),
            means="Numbers of those that the campaign may have.",
        ),
    ),
)
