"""An organisation and a campaign's first admin from a shell: invited once, or with a password that is not shown."""

import asyncio
import re
from pathlib import Path

import click
import pytest

from gateway import cli
from gateway.p2p.tokens import INVITATION, read
from gateway.store.database import Database
from tests.http.house import CAMPAIGN, OTHER_CAMPAIGN, furnish

pytestmark = pytest.mark.usefixtures("bare")

EMAIL, PASSWORD = "ann@example.org", "correct horse battery"
WORDS = ("users", "create", EMAIL, "--name", "Ann Li")


@pytest.fixture
def config(tmp_path: Path, dsn: str) -> Path:
    async def work() -> None:
        database = Database(dsn, connections=1)
        await furnish(database)
        await database.close()

    asyncio.run(work())
    path = tmp_path / "textbank.toml"
    path.write_text(f'[database]\ndsn = "{dsn}"\n')
    return path


def rows(dsn: str, sql: str) -> list[tuple[object, ...]]:
    async def work() -> list[tuple[object, ...]]:
        database = Database(dsn, connections=1)
        try:
            return [tuple(row) for row in await database.fetch(sql)]
        finally:
            await database.close()

    return asyncio.run(work())


def run(config: Path, *words: object) -> int:
    return cli.run([str(word) for word in (*words, "--config", config)])


def places(dsn: str) -> list[tuple[object, ...]]:
    return rows(dsn, "SELECT campaign_id, role FROM memberships ORDER BY campaign_id, user_id")


def test_an_organisation_gets_the_next_id(config: Path, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [run(config, "organisations", "create", name) for name in ("North", " South  Side ")] == [0, 0]
    assert capsys.readouterr().out.split() == ["2", "3"]
    named = rows(dsn, "SELECT name FROM organisations WHERE organisation_id > 1 ORDER BY organisation_id")
    assert named == [("North",), ("South Side",)]


def test_an_invitation_is_shown_once_and_only_its_hash_is_kept(
    config: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, *WORDS, "--campaign", CAMPAIGN, "--role", "admin") == 0
    told = capsys.readouterr()
    text = told.out.strip()
    token = read(INVITATION, text)
    assert token is not None
    assert rows(dsn, "SELECT token_hash FROM invitations") == [(token.token_hash,)]
    assert places(dsn) == [(CAMPAIGN, "admin")]
    assert text not in told.err


def test_a_password_is_asked_for_and_never_shown(
    config: Path, dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def hidden(prompt: str) -> str:
        asked.append(prompt)
        return PASSWORD

    monkeypatch.setattr(click.termui, "hidden_prompt_func", hidden)
    assert run(config, *WORDS, "--campaign", CAMPAIGN, "--ask-password") == 0
    told = capsys.readouterr()
    assert told.out == "they can sign in\n"
    assert PASSWORD not in told.out + told.err
    assert len(asked) == 2
    assert rows(dsn, "SELECT count(*) FROM invitations") == [(0,)]
    assert rows(dsn, "SELECT count(*) FROM sessions") == [(0,)]
    [(stored,)] = rows(dsn, "SELECT password_hash FROM users")
    assert re.match(r"\$argon2id\$", str(stored))
    assert run(config, *WORDS, "--campaign", OTHER_CAMPAIGN, "--role", "admin") == 0
    assert capsys.readouterr().out == "they have a password already, and keep it\n"
    assert places(dsn) == [(CAMPAIGN, "volunteer"), (OTHER_CAMPAIGN, "admin")]


def test_a_role_given_from_the_shell_is_theirs_afterwards(
    config: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, *WORDS, "--campaign", CAMPAIGN, "--role", "admin") == 0
    assert run(config, *WORDS, "--campaign", CAMPAIGN, "--role", "supervisor") == 2
    assert "the campaign's last admin" in capsys.readouterr().err
    other = ("users", "create", "bo@example.org", "--name", "Bo", "--campaign", CAMPAIGN, "--role", "admin")
    assert run(config, *other) == 0
    assert run(config, *WORDS, "--campaign", CAMPAIGN, "--role", "supervisor") == 0
    assert places(dsn) == [(CAMPAIGN, "supervisor"), (CAMPAIGN, "admin")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*WORDS, "--campaign", "77"), "there is no such campaign"),
        ((*WORDS, "--campaign", "1", "--role", "king"), "king"),
        ((*WORDS,), "--campaign"),
        (("users", "create", "ann", "--name", "Ann", "--campaign", "1"), "no e-mail address"),
        (("users", "create", EMAIL, "--name", " ", "--campaign", "1"), "a person needs a name"),
        (("organisations", "create", " "), "needs a name"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    config: Path, dsn: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert run(config, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert rows(dsn, "SELECT count(*) FROM users") == [(0,)]


def test_who_is_invited_elsewhere_answers_that_first(
    config: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, *WORDS, "--campaign", CAMPAIGN) == 0
    assert run(config, *WORDS, "--campaign", OTHER_CAMPAIGN) == 2
    assert "have not answered an invitation" in capsys.readouterr().err
    assert places(dsn) == [(CAMPAIGN, "volunteer")]
