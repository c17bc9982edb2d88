"""Settings: four sources in order, one validation, errors a person can act on, no secret shown."""

import io
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.config import SECTIONS, Settings, fingerprint, internal_port, load, load_with_sources
from gateway.config_reference import in_force, reference
from gateway.core.rules.errors import BadInput

DOCS = list(reference())
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str, name: str = "textbank.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_defaults_stand_alone() -> None:
    settings = load()
    assert settings == Settings()
    assert settings.windows.admission_s == 0.01
    assert settings.dispatch.look_ahead == 5000
    assert settings.database.dsn is None


def test_each_source_wins_over_the_one_before(write) -> None:
    path = write("[http]\nport = 1001\n[dispatch]\npoll_s = 2\nlook_ahead = 10\n")
    environment = {"TEXTBANK_HTTP_PORT": "1002", "TEXTBANK_DISPATCH_LOOK_AHEAD": "20", "HOME": "/nowhere"}
    settings = load(path, environment, {"http.port": 1003, "dispatch.poll_s": None})
    assert (settings.http.port, settings.dispatch.look_ahead, settings.dispatch.poll_s) == (1003, 20, 2.0)


def test_the_environment_may_name_the_file(write) -> None:
    path = write("[http]\nport = 1001\n")
    assert load(environment={"TEXTBANK_CONFIG": str(path)}).http.port == 1001


def test_of_several_files_the_later_wins(write) -> None:
    """One with settings and one with secrets, for systemd, a shell and a container alike; & is nothing special."""
    first = write("[http]\nport = 1001\nhost = 'x'\n", "a.toml")
    second = write("[http]\nport = 1002\n[provider]\nurl = 'twilio://a:b@?x=1&y=2'\n", "b.toml")
    for settings in (load(environment={"TEXTBANK_CONFIG": f"{first}:{second}"}), load([first, second])):
        assert (settings.http.port, settings.http.host) == (1002, "x")
        assert settings.provider.url == "twilio://a:b@?x=1&y=2"


def test_what_is_in_force_is_told_with_its_source_and_no_secret(write) -> None:
    path = write("[http]\nport = 1001\n[opt_outs]\nprovider_replies = false\n")
    environment = {"TEXTBANK_DATABASE_DSN": "postgresql://me:hunter2@db/x", "TEXTBANK_HTTP_HOST": "::"}
    lines = list(in_force(*load_with_sources(path, environment, {"log.level": "debug"})))
    told = {line.split()[0]: line.partition("  #") for line in lines if " = " in line}
    assert {
        name: (told[name][0].strip(), told[name][2].strip()) for name in ("port", "host", "level", "dsn")
    } == {
        "port": ("port = 1001", f"{path}:2"),
        "host": ('host = "::"', "environment variable TEXTBANK_HTTP_HOST"),
        "level": ('level = "debug"', "flag log.level"),
        "dsn": ('dsn = "postgresql://…"', "environment variable TEXTBANK_DATABASE_DSN"),
    }
    assert told["beat_s"][2].strip() == "default"
    assert "hunter2" not in "".join(lines)
    assert tomllib.loads("\n".join(lines))["opt_outs"]["provider_replies"] is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[windows]\n\nadmision_s = 1\n", ["admision_s", "textbank.toml:3", "did you mean 'admission_s'"]),
        ("[window]\nadmission_s = 1\n", ["[window]", "textbank.toml:1", "did you mean 'windows'"]),
        ("port = 1\n", ["[port]", "textbank.toml:1", "known are"]),
        ("http = 1\n", ["'http' is not a table", "textbank.toml:1"]),
        ("[http]\nport = '80'\n", ["http.port", "textbank.toml:2", "int"]),
        ("[http]\nport = 70000\n", ["http.port", "textbank.toml:2", "65535"]),
        ("[dispatch]\npoll_s = 0\n", ["dispatch.poll_s", "textbank.toml:2"]),
        ("[log]\nlevel = 'loud'\n", ["log.level", "textbank.toml:2", "loud"]),
        ("[http\n", ["not valid TOML", "textbank.toml", "line 1"]),
        ("[http]\nport = 1\nport = 2\n", ["not valid TOML", "textbank.toml"]),
        ("[provider]\nurl = 'twilio'\n", ["provider.url", "twilio://"]),
        ("[database]\ndsn = 'mysql://x'\n", ["database.dsn", "postgresql://"]),
    ],
)
def test_a_bad_file_is_refused_in_one_helpful_line(write, text: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        load(write(text))
    line = str(refused.value)
    assert "\n" not in line
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TEXTBANK_HTTP_PROT": "1"}, ["TEXTBANK_HTTP_PROT", "did you mean 'TEXTBANK_HTTP_PORT'"]),
        ({"TEXTBANK_HTTP_PORT": "eighty"}, ["http.port", "environment variable TEXTBANK_HTTP_PORT"]),
    ],
)
def test_a_bad_environment_is_refused(environment: dict[str, str], words: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        load(environment=environment)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize("name", ["http.prot", "http", "", "htp.port"])
def test_an_unknown_flag_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="unknown setting"):
        load(flags={name: 1})


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(BadInput, match="can't read the settings file"):
            load(path)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("# caf\xe9\n".encode("latin-1"))
    with pytest.raises(BadInput, match="UTF-8"):
        load(path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "bom.toml"
    path.write_text("[http]\nport = 5\n", encoding="utf-8-sig")
    assert load(path).http.port == 5


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_switches_in_the_environment(text: str, value: bool) -> None:
    given = load(environment={"TEXTBANK_OPT_OUTS_PROVIDER_REPLIES": text})
    assert given.opt_outs.provider_replies is value


SECRETS = {
    "TEXTBANK_DATABASE_DSN": "postgresql://bank:hunter2@db/bank",
    "TEXTBANK_PROVIDER_URL": "twilio://AC1:hunter2@api",
}


def test_secrets_are_kept_and_never_shown() -> None:
    settings = load(environment=SECRETS)
    page = io.StringIO()
    Console(file=page, width=500).print(settings)
    assert settings.provider.url == SECRETS["TEXTBANK_PROVIDER_URL"]
    for shown in (repr(settings), str(settings), f"{settings.database}", page.getvalue()):
        assert "hunter2" not in shown
        assert "://…" in shown


def test_equal_settings_have_equal_fingerprints_and_secrets_are_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "textbank.toml"
    file.write_text("[dispatch]\nconcurrency = 7\n", encoding="utf-8")
    by_file = load(file, environment=SECRETS)
    by_variable = load(environment={**SECRETS, "TEXTBANK_DISPATCH_CONCURRENCY": "7"})
    other_secret = load(
        file, environment={name: each.replace("hunter2", "x") for name, each in SECRETS.items()}
    )
    assert fingerprint(by_file) == fingerprint(by_variable) == fingerprint(other_secret)
    assert fingerprint(by_file) != fingerprint(load(environment=SECRETS))


@pytest.mark.parametrize("name", ["TEXTBANK_DATABASE_DSN", "TEXTBANK_PROVIDER_URL"])
def test_a_refused_secret_is_not_shown_either(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        load(environment={name: "hunter2"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_every_setting_is_described_in_one_line(doc) -> None:
    assert 10 <= len(doc.description) <= 100
    assert "\n" not in doc.description
    assert doc.type in {"bool", "float", "int", "str"} or "," in doc.type
    assert ("seconds" in doc.description) == doc.name.endswith("_s")


@pytest.mark.parametrize("doc", [doc for doc in DOCS if doc.default], ids=lambda doc: doc.name)
def test_a_default_can_be_given_back_by_the_environment(doc) -> None:
    assert load(environment={doc.variable: doc.default}) == Settings()


def test_names_are_those_of_the_environment_without_a_clash() -> None:
    assert len({doc.variable for doc in DOCS}) == len(DOCS)


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_each_setting_is_read(doc) -> None:
    """In a file that has its section in hand, as `settings.http` or by its class."""
    section, name = doc.name.split(".")
    read = re.compile(rf"\b{name}\b")
    in_hand = re.compile(rf"\bsettings\.{section}\b|import .*\b{SECTIONS[section].__name__}\b")
    files = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "gateway").rglob("*.py"))]
    assert [text for text in files if in_hand.search(text) and read.search(text)], doc.name


@given(st.integers(0, 65_535), st.integers(1, 10**6), st.floats(0, 5, allow_nan=False))
def test_a_value_means_the_same_from_every_source(port: int, look_ahead: int, window_s: float) -> None:
    given_values = {"http.port": port, "dispatch.look_ahead": look_ahead, "windows.inbound_s": window_s}
    environment = {
        f"TEXTBANK_{name.replace('.', '_').upper()}": str(value) for name, value in given_values.items()
    }
    as_text = {name: str(value) for name, value in given_values.items()}
    assert load(environment=environment) == load(flags=given_values) == load(flags=as_text)


@pytest.mark.parametrize(
    ("given", "port"),
    [({}, 18_800), ({"http.port": 0}, 0), ({"http.port": 60_000}, 50_000), ({"http.internal_port": "9"}, 9)],
)
def test_the_houses_own_door_has_a_port_for_each_worker(given: dict[str, object], port: int) -> None:
    assert internal_port(load(flags=given).http) == port
