"""The commands as a person meets them: keys shown once, faults in one line each, a clean stop."""

import asyncio
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from gateway import cli
from gateway.http.parts import WebhookDoor
from gateway.serve import webhook_doors
from gateway.store.database import Database
from tests.http.house import CAMPAIGN, furnish
from tests.http.signing_provider import PATIENCE_S, SigningProvider

pytestmark = pytest.mark.usefixtures("bare")

TWILIO = f"twilio://AC{'0' * 32}:twin@127.0.0.1:9?scheme=http"  # nobody listens at port 9


@pytest.fixture
def config(tmp_path: Path, dsn: str) -> Path:
    path = tmp_path / "textbank.toml"
    path.write_text(
        f'[database]\ndsn = "{dsn}"\n[provider]\nurl = "{TWILIO}"\n'
        '[http]\nport = 0\npublic_url = "https://texts.example.org"\n[log]\nformat = "json"\n'
    )
    return path


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


def furnished(dsn: str) -> None:
    async def work() -> None:
        database = Database(dsn, connections=1)
        await furnish(database)
        await database.close()

    asyncio.run(work())


# ---------------------------------------------------------------- keys, migrate


def test_a_key_is_shown_once(config: Path, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    furnished(dsn)
    assert (
        run("keys", "create", "phones", "--role", "reader", "--campaign", CAMPAIGN, "--config", config) == 0
    )
    key = capsys.readouterr().out.strip()
    assert re.fullmatch(r"tb_[0-9a-f]{12}_[0-9a-f]{64}", key)
    assert run("keys", "list", "--config", config) == 0
    listed = capsys.readouterr().out
    assert key.split("_")[1] in listed
    assert key.split("_")[2] not in listed
    assert all(word in listed for word in ("reader", "campaign 1", "phones"))


def test_a_key_with_an_end_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("keys", "create", "for the weekend", "--expires", "3d", "--config", config)
    run("keys", "create", "for good", "--config", config)
    capsys.readouterr()
    run("keys", "list", "--config", config)
    weekend, good = capsys.readouterr().out.splitlines()
    assert re.search(r"for the weekend  until \d{4}-\d\d-\d\d \d\d:\d\d$", weekend)
    assert good.endswith("for good")


def test_two_keys_differ(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        run("keys", "create", "a", "--config", config)
    first, second = capsys.readouterr().out.split()
    assert first != second


@pytest.mark.parametrize("whole", [True, False])
def test_a_key_is_revoked(config: Path, capsys: pytest.CaptureFixture[str], whole: bool) -> None:
    run("keys", "create", "a", "--config", config)
    key = capsys.readouterr().out.strip()
    assert run("keys", "revoke", key if whole else key.split("_")[1], "--config", config) == 0
    capsys.readouterr()
    run("keys", "list", "--config", config)
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keys", "revoke", "000000000000"), "there is no such key"),
        (("keys", "create", "a", "--campaign", "77"), "there is no such campaign"),
        (("keys", "create", "a", "--role", "king"), "king"),
        (("keys", "create", "  "), "a key needs a name"),
        (("keys", "create", "a", "--expires", "soon"), "write it as 12h, 30d or 8w"),
        (("migrate", "--set", "nonsense"), "is no setting"),
        (("migrate", "--set", "database.dns=x"), "did you mean 'database.dsn'"),
        (("migrate", "--set", "database.dsn=postgresql://127.0.0.1:9/x"), "the database does not answer"),
        (("serve", "--set", "database.dsn=postgresql://127.0.0.1:9/x"), "the database does not answer"),
        (("serve", "--set", "provider.url=pigeon://roof"), "there is no provider 'pigeon'"),
        (("serve", "--port", "99999"), "99999"),
    ],
)
def test_bad_input_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert run(*words, "--config", config) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len([line for line in error.splitlines() if line.startswith("textbank: ")]) == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "create", "a"),
        ("keys", "list"),
        ("keys", "revoke", "000000000000"),
        ("migrate",),
        ("reconcile",),
    ],
)
def test_every_command_says_which_database_it_speaks_to(
    config: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    run(*words, "--config", config)
    first = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(rf"database: postgresql://postgres@/\w+ \({config}:2\)", first)


def test_a_database_of_our_own_is_said_to_be_where_its_own_setting_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run("keys", "list", "--set", f"database.data_dir={tmp_path}/file") == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert first == f"database: a PostgreSQL of our own in {tmp_path}/file (flag database.data_dir)"


@pytest.mark.parametrize(
    "words", [("keys", "create", "a"), ("keys", "list"), ("migrate",), ("serve",), ("serve", "--check")]
)
def test_a_production_setting_refuses_a_database_of_our_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    path = tmp_path / "textbank.toml"
    path.write_text(
        f'[database]\ndsn_required = true\ndata_dir = "{tmp_path}/data"\n[provider]\nurl = "{TWILIO}"\n'
    )
    assert run(*words, "--config", path) == 2
    error = capsys.readouterr().err
    assert error.count("no database is given") == 1
    assert not (tmp_path / "data").exists()


def test_a_check_without_a_dsn_says_which_database_it_would_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("serve", "--check", "--set", f"database.data_dir={tmp_path}/data")
    assert f"the start will use a PostgreSQL of our own in {tmp_path}/data" in capsys.readouterr().out


def test_settings_in_force_are_printed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("settings", "--config", config, "--set", "log.level=debug") == 0
    told = capsys.readouterr().out
    assert re.search(r'level = "debug" +# flag log.level', told)
    assert "twin" not in told


def test_migrate_twice_changes_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [run("migrate", "--config", config) for _ in range(2)] == [0, 0]
    assert capsys.readouterr().out == "the database is up to date\n" * 2


# ---------------------------------------------------------------- serve


def test_a_check_tells_everything_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "textbank.toml"
        path.write_text(
            f'[http]\nport = {port}\n[database]\ndsn = "postgresql://127.0.0.1:9/x"\n'
            '[provider]\nurl = "pigeon://roof"\n'
        )
        assert run("serve", "--check", "--config", path) == 2
    said = capsys.readouterr().err
    for words in (
        "no provider 'pigeon'",
        "no public address",
        f"127.0.0.1:{port}",
        "database does not answer",
    ):
        assert words in said
    assert len(said.splitlines()) == 4


def test_a_port_in_use_is_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run("serve", "--config", config, "--port", port) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("textbank: ")]
    assert len(said) == 1
    assert f"can't listen (Address already in use): 127.0.0.1:{port}" in said[0]


def test_no_provider_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", "--set", f"database.data_dir={tmp_path}/data") == 2
    assert "no provider is given" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_a_served_worker_cleanly(config: Path, number: signal.Signals) -> None:
    program = "from gateway import cli; cli.main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", program, "serve", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while not (lines and '"serving"' in lines[-1]):
            line = await process.stderr.readline()
            assert line, lines
            lines.append(line.decode())
        process.send_signal(number)
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert '"stopped"' in rest
    assert "twin" not in "".join(lines) + rest
    assert "Traceback" not in rest


# ---------------------------------------------------------------- small


def test_a_provider_that_does_not_sign_has_no_door() -> None:
    doors = webhook_doors(SigningProvider(), "https://texts.example.org")
    assert [isinstance(door, WebhookDoor) for door in doors] == [True]
    assert webhook_doors(SigningProvider(), None) == []
    assert webhook_doors(object(), "https://texts.example.org") == []  # type: ignore[arg-type]


# ---------------------------------------------------------------- reconcile


def test_reconcile_says_what_it_found(config: Path, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No campaign has a number, so the provider is not even asked."""
    furnished(dsn)

    async def no_numbers() -> None:
        database = Database(dsn, connections=1)
        await database.execute("DELETE FROM numbers")
        await database.close()

    asyncio.run(no_numbers())
    assert run("reconcile", "--config", config, "--since", "2026-11-03") == 0
    assert capsys.readouterr().out.startswith(
        "texts at the provider: 0; late receipts taken in: 0; 0 not in the"
    )


def test_reconcile_without_an_answer_is_one_line(
    config: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    furnished(dsn)
    assert run("reconcile", "--config", config) == 2
    error = capsys.readouterr().err.strip()
    database, said = error.splitlines()
    assert database.startswith("database: postgresql://")
    assert said.startswith("textbank: the provider did not tell it all")


def test_reconcile_wants_a_date(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reconcile", "--config", config, "--since", "yesterday") == 2
    assert "yesterday" in capsys.readouterr().err
