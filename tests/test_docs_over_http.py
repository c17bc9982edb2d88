"""The documentation of what speaks HTTP: examples, deployment files, and the table of the twin's exactness."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from docs.generate import DOCS
from docs.generate.command_line import leaves
from docs.generate.door import names
from docs.generate.parameters import parameters
from docs.generate.result_fields import fields
from docs.generate.twin import FAULTS, TABLE_MEANINGS
from gateway import cli, config, config_reference
from gateway.core.rules.registration import Registration, limits
from gateway.http.bodies import MOST_BYTES
from gateway.http.campaigns import NewCampaign
from gateway.http.csv_lists import MOST_CSV_BYTES
from gateway.http.sending import SingleMessage
from gateway.http.server import OPERATIONS
from gateway.metric_families import FAMILIES
from gateway.providers.twilio.webhooks import INBOUND_PATH, STATUS_PATH
from gateway.store.embedded import EmbeddedServer
from gateway.store.postgres_programs import _installed
from simulator.twin.control import TABLES, FaultOrder
from tests.test_docs import fenced, page, texts

ROOT = DOCS.parent
DEPLOY = DOCS / "how-to" / "deploy"
EXACTNESS = "reference/twin-exactness.md"

# ---------------------------------------------------------------- how exact the twin is

_REFERENCE = re.compile(r"`([\w/.]+\.py)::(\w+)`")


def behaviours() -> list[tuple[str, str, str]]:
    """(behaviour, what the twin does, where it is tested) of every row."""
    return [(behaviour, twin, tested) for behaviour, twin, tested, _ in rows_of_exactness()]


def rows_of_exactness() -> list[tuple[str, str, str, str]]:
    """The same with the page of Twilio's documentation, "" where there is none."""
    rows = [
        line.removeprefix("|").split("|") for line in page(EXACTNESS).splitlines() if line.startswith("| ")
    ]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [(row[0], row[1], row[2], row[3]) for row in cells if row[1] != "twin"]


@cache
def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")}


def test_every_documented_behaviour_has_a_row() -> None:
    """139 of them, and their pages, were gone through in November 2026."""
    documented = [row for row in rows_of_exactness() if re.fullmatch(r"`[a-z0-9/_#-]+`", row[3])]
    assert len(documented) >= 139
    assert {row[3] for row in rows_of_exactness()} - {row[3] for row in documented} == {""}


@pytest.mark.parametrize(("behaviour", "twin", "tested"), behaviours(), ids=lambda each: each[:40])
def test_each_behaviour_is_judged_and_its_tests_exist(behaviour: str, twin: str, tested: str) -> None:
    judged = re.match(r"(same|simpler|missing)(: .+)?$", twin)
    assert judged, behaviour
    references = _REFERENCE.findall(tested)
    assert bool(references) == (judged[1] != "missing"), behaviour
    assert tested == ", ".join(f"`{path}::{name}`" for path, name in references)
    for path, name in references:
        full = ROOT / (path if "/" in path else f"tests/twilio_server/{path}")
        assert name in functions_of(full), name


def test_codes_named_in_the_table_are_known_to_the_twin() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "simulator").rglob("*.py"))
    for behaviour, twin, _ in behaviours():
        if not twin.startswith("missing"):
            codes = re.findall(r"\b[1-6]\d{4}\b", behaviour)
            assert [code for code in codes if not re.search(rf"\b{code}\b", sources)] == []


def test_faults_and_tables_have_words() -> None:
    kinds = next(field for field in msgspec.structs.fields(FaultOrder) if field.name == "kind")
    assert set(FAULTS) == set(get_args(kinds.type))
    assert tuple(TABLE_MEANINGS) == TABLES


def test_orders_of_faults_in_the_examples_are_valid() -> None:
    orders = [
        json.loads(found)
        for _, text in fenced("console")
        for found in re.findall(r"/twin/faults -d '(.+?)'", text)
    ]
    assert len(orders) > 2
    for order in orders:
        assert msgspec.convert(order, FaultOrder)


# ---------------------------------------------------------------- examples of the commands

_COMMAND = re.compile(r"^\$ \S*/bin/textbank ((?:carrier|serve|keys|migrate|reconcile)\b.*)$", re.MULTILINE)


def examples() -> list[list[str]]:
    return [shlex.split(found) for _, text in fenced("console") for found in _COMMAND.findall(text)]


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_an_example_is_understood(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, command = next(each for each in leaves() if words[: len(each[0].split())] == each[0].split())
    assert command.make_context(name, words[len(name.split()) :]).params


def test_there_are_examples() -> None:
    assert {words[0] for words in examples()} >= {"carrier", "serve", "keys"}


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=str)
def test_every_command_and_flag_is_in_the_reference(name: str, command: click.Command) -> None:
    text = page("reference/command.md")
    assert f"| `textbank {name.split(maxsplit=1)[0]}` |" in text
    section = text.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    for parameter in command.params:
        flags = parameter.opts if isinstance(parameter, click.Option) else [str(parameter.name).upper()]
        assert all(flag in section for flag in flags)


# ---------------------------------------------------------------- names that must exist


def test_settings_and_variables_named_in_the_pages_exist() -> None:
    variables = {each.variable for each in config_reference.reference()} | {config.CONFIG_VARIABLE}
    settings = {each.name for each in config_reference.reference()} | {path for path, _ in fields()}
    settings |= {each.path for each in parameters()}  # a scenario's webhooks are another thing
    for path, text in texts():
        for name in re.findall(r"(?<!_)TEXTBANK_[A-Z_]*[A-Z]", text):
            assert name in variables, path
        for name in re.findall(rf"`((?:{'|'.join(config.SECTIONS)})\.[a-z_]+)`", text):
            assert name in settings | {"time.time"}, path  # Python's, which is banned


def test_metrics_named_in_the_pages_exist() -> None:
    known = {family.name for family in FAMILIES}
    named = {name for _, text in texts() for name in re.findall(r"`(p2p_[a-z_]+)(?:\{[^}]*\})?`", text)}
    assert named <= known


def test_operations_named_in_the_pages_exist() -> None:
    named = {
        name
        for _, text in texts()
        for name in re.findall(r"`((?:GET|POST|PATCH) /v1/[^`?]*?)(?:\?[^`]*)?`", text)
    }
    assert named <= set(names())


def test_the_webhooks_addresses_are_those_given_out() -> None:
    text = page("reference/webhooks.md")
    assert f"`POST {STATUS_PATH}?c=…&m=…&a=…`" in text
    assert f"`POST {INBOUND_PATH}`" in text


# ---------------------------------------------------------------- deployment


def test_the_settings_file_loads() -> None:
    settings = config.load(DEPLOY / "textbank.toml")
    assert settings.http.public_url == "https://texts.example.org"
    assert settings.provider.url is None  # no secret in a file that is copied


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = (DEPLOY / "textbank.service").read_text(encoding="utf-8")
    started = re.findall(r"^ExecStart\w*=\S+/textbank (.+)$", unit, re.MULTILINE)
    assert started
    known = dict(leaves())
    for line in started:
        name, *arguments = shlex.split(line.replace("%i", "8800"))
        assert known[name].make_context(name, arguments).params["port"] == 8800


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "textbank.service").read_text(encoding="utf-8")
    unit = re.sub(r"(?m)^(ExecStart\w*)=.*$", r"\1=/bin/true", unit).replace("User=textbank", "User=daemon")
    (tmp_path / "textbank@8800.service").write_text(unit, encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "textbank@8800.service")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = [line for line in checked.stderr.splitlines() if "textbank" in line]
    assert (checked.returncode, told) == (0, [])


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx here")
def test_nginx_takes_its_file(tmp_path: Path) -> None:
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    site = re.sub(r"(?m)^\s*ssl_certificate.*$", "", site).replace("443 ssl", "127.0.0.1:8443")
    (tmp_path / "site.conf").write_text(site, encoding="utf-8")
    whole = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    (tmp_path / "nginx.conf").write_text(whole, encoding="utf-8")
    checked = subprocess.run(
        ["nginx", "-t", "-c", str(tmp_path / "nginx.conf")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "syntax is ok" in checked.stderr


@pytest.mark.skipif(shutil.which("caddy") is None, reason="no caddy here")
def test_caddy_takes_its_file(tmp_path: Path) -> None:
    version = subprocess.check_output(["caddy", "version"], text=True).lstrip("v")
    old = tuple(map(int, re.findall(r"\d+", version)[:2])) < (2, 7)
    site = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert "this\n\t\t# line is `buffer_requests`.\n\t\trequest_buffers 1MiB\n" in site
    (tmp_path / "Caddyfile").write_text(
        site.replace("request_buffers 1MiB", "buffer_requests") if old else site
    )
    checked = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")],
        env={**os.environ, "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (checked.returncode, "Valid configuration" in checked.stdout) == (0, True), checked.stderr


def test_the_container_copies_what_there_is_and_all_that_is_installed() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.search(r"tool\.hatch\.build\.targets\.wheel\]\npackages = \[(.+?)\]", project)
    assert packages is not None
    assert {*re.findall(r'"(\w+)"', packages[1]), "pyproject.toml", "LICENSE", "README.md"} <= copied


def test_the_container_runs_as_a_number_and_says_whether_it_lives() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
    asked = re.search(r"HEALTHCHECK (?s:.+?)127\.0\.0\.1:8800(/\w+)", text)
    assert asked is not None
    assert asked[1] in {each.path for each in OPERATIONS}
    assert "VOLUME /var/lib/textbank" in text
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".git", ".venv", "secrets.toml"} <= set(ignored)
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()}
    assert not copied & set(ignored)


def test_the_proxies_take_a_list_as_large_as_the_api_does() -> None:
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    caddy = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    most_mib = MOST_CSV_BYTES // 2**20
    assert f"client_max_body_size {most_mib}m;" in nginx
    assert f"JSON ends at {MOST_BYTES // 2**20} MB" in nginx
    assert f"max_size {most_mib}MiB" in caddy
    assert "request_buffers" in caddy


def test_every_variable_of_the_guide_is_set_before_it_is_used() -> None:
    known: set[str] = set()
    for name, text in fenced("console"):
        if name.endswith("how-to/deploy.md"):
            for line in text.splitlines():
                used = set(re.findall(r"\$\{?([A-Z_]+)", line.removeprefix("$ ")))
                assert used <= known, line
                known |= set(re.findall(r"^\$ export ([A-Z_]+)=", line))
    assert known >= {"API", "KEY", "TEXTBANK_CONFIG", "REPOSITORY"}


def test_every_file_that_the_guide_copies_is_there_and_gets_its_rights() -> None:
    text = page("how-to/deploy.md")
    copied = re.findall(r"/opt/textbank/source/docs/how-to/deploy/([\w.]+)", text)
    copied += re.findall(r"^\$ install -m \d+ .*?([\w.]+) /etc/textbank/\1$", text, re.MULTILINE)
    assert {"roles.sql", "textbank.service", "textbank.toml", "secrets.toml"} <= set(copied)
    assert [name for name in copied if not (DEPLOY / name).exists()] == []
    assert "install -m 0640 -o root -g textbank secrets.toml" in text
    unit = (DEPLOY / "textbank.service").read_text(encoding="utf-8")
    assert "TEXTBANK_CONFIG=/etc/textbank/textbank.toml:/etc/textbank/secrets.toml" in unit
    assert "export TEXTBANK_CONFIG=/etc/textbank/textbank.toml:/etc/textbank/secrets.toml" in text


def test_the_guide_s_database_and_settings_lead_to_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As far as it goes on any machine: the role's file, both settings files, and the first commands."""
    with EmbeddedServer() as server:
        dsn = server.dsn()
        psql = [_installed() / "bin" / "psql", "-v", "ON_ERROR_STOP=1", "-X", dsn]
        with (DEPLOY / "roles.sql").open() as roles:
            done = subprocess.run(psql, stdin=roles, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        secrets = (DEPLOY / "secrets.toml").read_text(encoding="utf-8")
        where = dsn.partition("?")[2].replace("%2F", "/")
        (tmp_path / "secrets.toml").write_text(
            secrets.replace("@127.0.0.1:5432/textbank", f"@/textbank?{where}").replace("…", "0"),
            encoding="utf-8",
        )
        monkeypatch.setenv("TEXTBANK_CONFIG", f"{DEPLOY / 'textbank.toml'}:{tmp_path / 'secrets.toml'}")
        assert cli.run(["settings"]) == 0
        assert cli.run(["migrate"]) == 0
        assert cli.run(["keys", "create", "desk", "--role", "admin"]) == 0
        said = capsys.readouterr()
    assert "change-me" not in said.out + said.err
    assert said.out.splitlines()[-1].startswith("tb_")
    assert "database: postgresql://textbank@/textbank" in said.err


def test_requests_of_the_guide_are_read_by_the_api() -> None:
    text = page("how-to/deploy.md")
    campaign = re.search(r"^\$ cat campaign\.json\n(\{.*?^\})$", text, re.DOTALL | re.MULTILINE)
    assert campaign is not None
    assert msgspec.json.decode(campaign[1], type=NewCampaign).settings.registration.verified
    messages = re.findall(r"\$API/v1/messages -d '(.+?)'", text)
    assert messages
    assert all(msgspec.json.decode(each, type=SingleMessage).campaign_id == 1 for each in messages)


def test_registrations_of_the_guide_are_granted_what_it_says() -> None:
    rows = re.findall(r"^\| .+ \| `(\{.+\})` \| (\d+) segments/s", page("how-to/deploy.md"), re.MULTILINE)
    assert len(rows) == 4
    for registered, told in rows:
        granted = limits(msgspec.json.decode(registered, type=Registration))
        assert granted.total_per_s == float(told)
