"""Every generated file: boards, rules, and what brings them into a Grafana and a Prometheus."""

from pathlib import Path
from typing import Any, Final

import yaml

from dashboards.addresses import Addresses
from dashboards.alerts import ALERTS
from dashboards.boards import BOARDS
from dashboards.grafana import boards_json
from dashboards.rules import Group, groups, slo_alerts
from dashboards.scraping import alertmanager, prometheus_settings

GENERATED: Final = Path(__file__).parent / "generated"
_HEAD: Final = "# Generated from the tables in dashboards/: change those, then run `python -m dashboards`.\n"


def files(addresses: Addresses = Addresses()) -> dict[str, str]:  # noqa: B008 - frozen
    """What each file under generated/ says, by its path there."""
    alerts = [*slo_alerts(), *ALERTS]
    panel_ids = {key: nth for board in BOARDS for key, nth in board.ids().items()}
    boards = boards_json(BOARDS, alerts, addresses)
    rules = groups(addresses, panel_ids)
    return {
        **{f"grafana/dashboards/{name}": text for name, text in boards.items()},
        "grafana/provisioning/dashboards/textbank.yaml": _yaml(_PROVIDER),
        "grafana/provisioning/datasources/prometheus.yaml": _yaml(_source(addresses)),
        **{f"prometheus/rules/{name}.yaml": rules_text(found) for name, found in rules.items()},
        "prometheus/prometheus.yaml": _yaml(prometheus_settings()),
        "alertmanager/alertmanager.yaml": _yaml(alertmanager()),
    }


def rules_text(found: list[Group]) -> str:
    """A file of rules."""
    written = [{"name": each.name, "interval": each.interval, "rules": list(each.rules)} for each in found]
    return _yaml({"groups": written})


def write(folder: Path = GENERATED, addresses: Addresses | None = None) -> list[Path]:
    """Brings the folder up to date; returns what changed. Of our own folder, what is there too much goes."""
    wanted = {folder / name: text for name, text in files(addresses or Addresses()).items()}
    changed = []
    there = folder.rglob("*") if folder == GENERATED else ()
    for path in sorted(each for each in there if each.is_file() and each not in wanted):
        path.unlink()
        changed.append(path)
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _yaml(content: Any) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, width=1000, allow_unicode=True)
    return _HEAD + text


_PROVIDER: Final = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "textbank",
            "folder": "Textbank",
            "type": "file",
            "allowUiUpdates": False,
            "options": {"path": "/var/lib/grafana/dashboards"},
        }
    ],
}


def _source(addresses: Addresses) -> dict[str, Any]:
    story = {"name": "message_id", "url": addresses.story(), "urlDisplayLabel": "The message's story"}
    prometheus = {
        "name": "Prometheus",
        "uid": "textbank-prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": "http://prometheus:9090",
        "isDefault": True,
        "jsonData": {"timeInterval": "15s", "exemplarTraceIdDestinations": [story]},
    }
    return {"apiVersion": 1, "datasources": [prometheus]}
