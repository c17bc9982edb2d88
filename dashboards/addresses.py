"""Where an operator's Grafana, gateway and these pages are: what links begin with."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """`python -m dashboards --grafana … --gateway … --runbooks …` writes everything with an operator's own."""

    grafana: str = "http://grafana.example"
    gateway: str = "http://gateway.example"
    runbooks: str = "http://docs.example/runbooks"

    def board(self, board: str) -> str:
        return f"{self.grafana}/d/{uid(board)}"

    def panel(self, board: str, panel_id: int) -> str:
        return f"{self.board(board)}?viewPanel={panel_id}"

    def story(self) -> str:
        """Of the message that an exemplar names, in Grafana's words."""
        return f"{self.gateway}/v1/messages/${{__data.fields.campaign_id}}/${{__value.raw}}/story"

    def runbook(self, runbook: str) -> str:
        return f"{self.runbooks}/{runbook}.md"


def uid(board: str) -> str:
    """Grafana's name for a board, which never changes."""
    return f"textbank-{board}"
