"""Bad input anywhere: status 2, one line that says what, where and what to do, no traceback."""

import gc
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from gateway import cli
from simulator.model.scenario import BadScenario, load

GOOD_LIST = "phone,first_name\n215-555-0123,Ann\n"
FILES = {
    "good.csv": GOOD_LIST,
    "no-phone.csv": "name,city\nAnn,Philadelphia\n",
    "empty.csv": "",
    "header.csv": "phone,first_name\n",
    "useless.csv": "phone,first_name\n555,Ann\n800-555-0123,Bob\n",
    "unknown-key.toml": 'base = "small-town"\n[volunteers]\ncoutn = 3\n',
    "broken.toml": "title = [\n",
    "no-base.toml": 'title = "x"\n',
    "campaign-kind.toml": 'base = "small-town"\n[campaign]\ncampaign_kind = "nonsense"\n',
    "brand.toml": 'base = "small-town"\n[campaign]\nbrand_kind = "standard"\ncampaign_kind = "political"\n',
    "half-a-minute.toml": 'base = "small-town"\n[campaign]\nhours_start = 09:00:00\nhours_end = 09:00:30\n',
    "far-future.toml": 'base = "small-town"\nstart = 9999-12-31T18:00:00\n',
    "far-past.toml": 'base = "small-town"\nstart = 0001-01-01T18:00:00\n',
    "liquid.toml": 'base = "small-town"\n[campaign]\nscripts = ["Hi {{first_name"]\n',
    "response.toml": 'base = "small-town"\n[[campaign.responses]]\nname = "thanks"\ntext = "Hi {% if %}"\n',
    "endless.toml": 'base = "small-town"\nduration_s = inf\n',
}
# words after `rehearse`, and what the one line must name
BAD = [
    (["no-such-place"], "no-such-place"),
    (["missing.toml"], "missing.toml"),
    (["broken.toml"], "broken.toml"),
    (["latin.toml"], "the scenario is not UTF-8 text: latin.toml; save it as UTF-8"),
    (["folder.toml"], "not a scenario file: folder.toml"),
    (["/dev/null"], "not a scenario file: /dev/null"),
    (
        ["--contacts", "5", "--dsn", ""],
        "--dsn is not an address: the command line; write it as postgresql://",
    ),
    (["--contacts", "5", "--dsn", "mysql://x"], "--dsn is not an address"),
    (
        ["--contacts", "5", "--dsn", "postgresql://127.0.0.1:1/x"],
        "does not answer ([Errno 111] Connect call failed ('127.0.0.1', 1)): --dsn",
    ),
    (["--contacts", "5", "--dsn", "postgresql://127.0.0.1:99999/x"], "--dsn; start it, or correct the DSN"),
    (["unknown-key.toml"], "unknown key: unknown-key.toml: volunteers.coutn; did you mean count?"),
    (["no-base.toml"], "missing key"),
    (["campaign-kind.toml"], "nonsense"),
    (["brand.toml"], "campaign_kind"),
    (["half-a-minute.toml"], "hours"),
    (["far-future.toml"], "start"),
    (["far-past.toml"], "start"),
    (["liquid.toml"], "liquid: campaign: expected '}}'"),
    (["response.toml"], "a script can't be read"),
    (["--list", "missing.csv"], "missing.csv"),
    (["--list", "no-phone.csv"], "no-phone.csv"),
    (["--list", "empty.csv"], "empty.csv"),
    (["--list", "header.csv"], "header.csv"),
    (["--list", "useless.csv"], "useless.csv"),
    (["--list", "good.csv", "--rejects", "good.csv"], "good.csv"),
    (["--list", "good.csv", "--contacts", "5"], "--contacts and --list exclude each other"),
    (["--contacts", "0"], "--contacts"),
    (["--contacts", "-5"], "--contacts"),
    (["--contacts", "6000000"], "--contacts"),
    (["--contacts", "abc"], "'abc' is not a valid integer"),
    (["--contacts", "1e3"], "--contacts"),
    (["--seed", "abc"], "--seed"),
    (["--seed", "-1"], "--seed"),
    (["--contacts", "5", "--report", "good.csv"], "good.csv"),
    (["--contacts", "5", "--report", "good.csv/report"], "good.csv/report"),
    (["--contacts", "5", "--script", "Hi {{first_name"], "--script: expected '}}'"),
    (["--contacts", "5", "--script", "Hi {% nonsense %}"], "a script can't be read: --script"),
    (["--contacts", "5", "--script", "  "], "--script is empty"),
    (["--contacts", "5", "--script", ""], "--script is empty"),
    (["small-town", "--contacts", "2000000"], "too many contacts"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).write_text(content, encoding="utf-8")
    Path("latin.toml").write_text('title = "é"', encoding="latin-1")
    Path("folder.toml").mkdir()
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_byte_order_mark_is_no_mistake() -> None:
    """As Notepad puts one first."""
    Path("bom.toml").write_text("base = 'small-town'\n", encoding="utf-8-sig")
    assert load("bom.toml").name == "bom"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("words", "named"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_one_line_and_status_2(words: list[str], named: str) -> None:
    """The whole command in this process; what a person would meet as a traceback is raised here."""
    out, error = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(error):
            status = cli.run(["rehearse", *words])
    except Exception as defect:  # noqa: BLE001 - whatever it is, nobody should have to read it
        status, trouble = -1, f"{type(defect).__name__} instead of one line: {defect}"
        error.write(trouble)
    gc.collect()  # what a refused run left open is this run's fault, not the next test's
    lines = error.getvalue().splitlines()
    checks = {
        "the status is 2": status == 2,
        "nothing on standard output": out.getvalue() == "",
        f"says {named!r}": lines[-1].startswith("textbank: ") and named in lines[-1],
        "one line": len(lines) == 1,
    }
    wrong = [name for name, is_so in checks.items() if not is_so]
    if wrong:
        pytest.fail(f"not so: {wrong}; standard error: {lines}", pytrace=False)


def test_a_world_without_end_is_refused(folder: Path) -> None:
    """Run, it would never come back."""
    with pytest.raises(BadScenario, match="duration_s"):
        load(folder / "endless.toml")


def test_the_list_is_untouched_when_it_is_also_the_rejects_file(folder: Path) -> None:
    cli.run(["rehearse", "--list", "good.csv", "--rejects", "good.csv"])
    assert (folder / "good.csv").read_text(encoding="utf-8") == GOOD_LIST


@pytest.mark.usefixtures("folder")
def test_nothing_is_left_behind_by_a_refusal() -> None:
    before = {path.name for path in Path().iterdir()}
    cli.run(["rehearse", "unknown-key.toml"])
    cli.run(["rehearse", "--contacts", "0"])
    assert {path.name for path in Path().iterdir()} == before
