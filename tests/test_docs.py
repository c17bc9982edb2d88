"""The documentation: generated parts equal what the code says, everything has words, links lead somewhere."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.generate import DOCS, MANUAL, filled, pages, parts
from docs.generate.blocks import BLOCKS, commands, sub_reasons
from docs.generate.command_line import leaves as commands_that_run
from docs.generate.manual import manual
from docs.generate.parameters import MEANINGS as PARAMETER_MEANINGS
from docs.generate.parameters import parameters
from docs.generate.result_fields import MEANINGS as FIELD_MEANINGS
from docs.generate.result_fields import fields
from gateway import config, config_reference
from gateway.core.rules.errors import CATALOGUE, Actor, Billing, Box, Retry, SubReason
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import RULES
from gateway.metric_families import FAMILIES
from gateway.p2p.list_columns import meaning_of
from simulator.model.scenario import load, shipped
from simulator.report.result import INVARIANT_RULES, INVARIANTS

ROOT = DOCS.parent
README = ROOT / "README.md"
AGAIN = "run `.venv/bin/python -m docs.generate`"

_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def texts() -> Iterator[tuple[Path, str]]:
    for path in (README, ROOT / "CONTRIBUTING.md", *pages()):
        yield path, path.read_text(encoding="utf-8")


def fenced(kind: str) -> list[tuple[str, str]]:
    return [
        (relative(path), found["text"])
        for path, text in texts()
        for found in _FENCE.finditer(text)
        if found["kind"] == kind
    ]


# ---------------------------------------------------------------- what is generated


@pytest.mark.parametrize("path", list(pages()), ids=relative)
def test_a_page_says_what_the_code_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert filled(text) == text, AGAIN


def test_every_generated_part_has_its_place() -> None:
    used = {name for path in pages() for name in parts(path.read_text(encoding="utf-8"))}
    assert used == set(BLOCKS)


def test_no_mark_is_left_open() -> None:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        assert text.count("<!-- generated: ") == text.count("<!-- end: ") == len(parts(text)), relative(path)


def test_a_stale_part_is_seen() -> None:
    text = "<!-- generated: moves -->\n\nsomething else\n\n<!-- end: moves -->"
    assert filled(text) != text
    assert filled(filled(text)) == filled(text)


# ---------------------------------------------------------------- everything has words


@pytest.mark.parametrize("setting", list(config_reference.reference()), ids=lambda each: each.name)
def test_every_setting_is_documented(setting: config_reference.SettingDoc) -> None:
    assert setting.description
    assert f"`{setting.name}` | `{setting.variable}`" in page("reference/settings.md")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_every_metric_is_documented(family) -> None:
    text = page("reference/metrics.md")
    assert f"| `{family.name}` | {family.type} |" in text
    assert all(f"| `{family.name}` | `{label.name}` |" in text for label in family.labels)


def test_every_error_code_is_documented() -> None:
    lines = page("reference/error-codes.md").splitlines()
    told = {line.split(" | ")[0].strip("| `"): line for line in lines if line.startswith("| `")}
    for number, means in CATALOGUE.items():
        line = told[str(number)]
        assert all(words in line for words in (means.title, means.volunteer_reads, means.what_to_do))


def test_every_sub_reason_is_documented() -> None:
    assert {sub_reason for sub_reason, _ in sub_reasons()} == set(SubReason)
    text = page("reference/error-codes.md")
    assert [each for each in SubReason if f"| `{each.value}` |" not in text] == []


@pytest.mark.parametrize("words", [Retry, Billing], ids=lambda kind: kind.__name__)
def test_every_consequence_is_explained(words) -> None:
    text = page("reference/error-codes.md")
    assert [each for each in words if f"| `{each.value}` | " not in text] == []


def test_who_acts_and_the_boxes_are_named() -> None:
    text = page("reference/error-codes.md").replace(" ", "_")
    used = {means.actor for means in CATALOGUE.values()} | {means.box for means in CATALOGUE.values()}
    assert used <= {*Actor, *Box}
    assert [each for each in used if f"|_{each.value}_|" not in text] == []


def test_safeguards_stand_in_their_order() -> None:
    text = page("reference/safeguards.md")
    places = [text.index(f"| {place} | `{rule.code}` |") for place, rule in enumerate(RULES, start=1)]
    assert places == sorted(places)


@pytest.mark.parametrize("parameter", parameters(), ids=lambda each: each.path)
def test_every_scenario_parameter_is_documented(parameter) -> None:
    assert parameter.meaning, "say in a comment beside the field what it means"
    assert parameter.unit
    assert f"| `{parameter.path}` | " in page("reference/scenario.md")


def test_no_words_are_kept_for_parameters_and_fields_that_are_gone() -> None:
    assert set(PARAMETER_MEANINGS) <= {each.path for each in parameters()}
    assert set(FIELD_MEANINGS) == {path for path, _ in fields()}


def test_every_field_that_may_be_set_in_a_scenario_is_a_parameter() -> None:
    """Seen from the other side: what the shipped files set."""
    known = {each.path for each in parameters()}
    for name in shipped():
        source = ROOT / "simulator" / "scenarios" / f"{name}.toml"
        assert set(leaves(tomllib.loads(source.read_text(encoding="utf-8")))) <= known | {"base"}


def leaves(content: dict[str, object], path: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                yield from leaves(each, f"{path}{key}[].")
        else:
            yield f"{path}{key}"


def test_every_flag_and_field_of_the_command_is_documented() -> None:
    text = page("reference/command.md")
    assert "rehearse" in commands()
    for command in commands().values():
        for parameter in command.params:
            names = parameter.opts if isinstance(parameter, click.Option) else [parameter.name.upper()]
            assert all(name in text for name in names)
    assert [path for path, _ in fields() if f"| `{path}` |" not in text] == []


def test_states_and_invariants_are_documented() -> None:
    life = page("background/life-of-a-message.md")
    assert [state for state in State if life.count(f"| `{state.value}` |") != 2] == []  # meaning, moves
    assert [name for name in INVARIANTS if f"`{name}`" not in page("reference/command.md")] == []


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_is_named(name: str) -> None:
    assert f"`{name}`" in README.read_text(encoding="utf-8")
    assert f"`{name}`" in page("reference/scenario.md")


# ---------------------------------------------------------------- links


def anchors(path: Path) -> set[str]:
    """As code hosts make them: lower case, blanks to hyphens, other signs dropped."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> Iterator[tuple[Path, str]]:
    for path, text in texts():
        for found in _LINK.finditer(_FENCE.sub("", text)):
            if "://" not in found["target"]:
                yield path, found["target"]


@pytest.mark.parametrize(
    ("path", "target"), list(links()), ids=lambda each: relative(each) if isinstance(each, Path) else each
)
def test_a_link_leads_somewhere(path: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    leads_to = (path.parent / name).resolve() if name else path
    assert leads_to.exists()
    assert leads_to.is_relative_to(ROOT)
    assert not anchor or anchor in anchors(leads_to)


def test_every_page_is_listed() -> None:
    index, runbooks = DOCS / "README.md", DOCS / "runbooks" / "README.md"
    linked = {
        (path.parent / target.partition("#")[0]).resolve()
        for path, target in links()
        if path in (index, runbooks)
    }
    assert {path for path in pages() if path != index} - linked == set()


# ---------------------------------------------------------------- examples


_EXAMPLE = re.compile(
    r"make rehearse ARGS=\"(?P<made>.*)\"|textbank rehearse (?P<run>[^|;>#\n]*?)(?= 2>|[|;>#\n]|$)"
)


def rehearsals() -> list[tuple[str, list[str]]]:
    """Each `textbank rehearse …` and `make rehearse ARGS="…"` of the examples, with its arguments."""
    return [
        (name, shlex.split(found["made"] or found["run"]))
        for name, text in fenced("console")
        for found in _EXAMPLE.finditer(text)
    ]


@pytest.mark.parametrize(("name", "arguments"), rehearsals(), ids=lambda each: str(each)[:60])
def test_an_example_of_the_command_is_understood(
    name: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contacts.csv").touch()
    (tmp_path / "people.csv").touch()
    arguments = [argument.replace("$seed", "1") for argument in arguments]
    if {"--help", "--list-scenarios"} & set(arguments):
        return
    given = commands()["rehearse"].make_context("rehearse", arguments).params
    assert given["scenario"] in shipped() or given["scenario"].endswith(".toml")


def test_there_are_examples_of_the_command() -> None:
    assert len(rehearsals()) > 15


@pytest.mark.parametrize(("name", "text"), fenced("toml"), ids=lambda each: each[:40].strip())
def test_an_example_of_a_file_is_valid(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(text, encoding="utf-8")
    if "base" in tomllib.loads(text):
        assert load(path).name == "example"
    else:
        assert config.load(path)


def test_headers_of_lists_are_recognised_as_told() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| (`.+`) \|$", page("how-to/use-your-own-list.md"), re.MULTILINE)
    told = [(row[0].replace(" ", "_"), header) for row in rows for header in re.findall("`([^`]+)`", row[1])]
    assert len(told) > 20
    assert [(meaning, header) for meaning, header in told if meaning_of(header) != meaning] == []


def test_the_tutorial_shows_as_many_rules_as_there_are() -> None:
    shown = re.search(
        r"^(\d+) of (\d+) rules held\.((?:\nNot tested: .+)+)$",
        page("tutorial/first-rehearsal.md"),
        re.MULTILINE,
    )
    assert shown is not None
    held, rules, not_tested = int(shown[1]), int(shown[2]), re.findall("Not tested: (.+)\\.", shown[3])
    assert (rules, rules - held) == (len(INVARIANTS), len(not_tested))
    assert set(not_tested) <= set(INVARIANT_RULES.values())


def test_targets_of_make_exist() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {
        target
        for _, text in fenced("console")
        for targets in re.findall(r"^\$ make ((?:[a-z][a-z-]* ?)+)", text, re.MULTILINE)
        for target in targets.split()
    }
    assert asked
    assert asked <= known


def test_the_folders_of_the_readme_exist() -> None:
    text = README.read_text(encoding="utf-8")
    layout = text.partition("## How it is laid out")[2].partition("\n## ")[0]
    cells = [row.split("|")[1] for row in layout.splitlines() if row.startswith("| `")]
    folders = [name for cell in cells for name in re.findall("`([^`]+)`", cell)]
    assert len(folders) > 7
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_files_named_in_the_pages_exist() -> None:
    """gateway/core/rules/errors.py, simulator/scenarios/: a page must not send anybody where nothing is."""
    named = {
        (relative(path), name)
        for path, text in texts()
        if path.name != "CONTRIBUTING.md"  # it also tells where things will go
        for name in re.findall(r"`((?:gateway|simulator)/[\w./-]+)`", text)
    }
    assert len(named) > 8
    assert [(where, name) for where, name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_manual_page_says_what_the_commands_say() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    assert text == manual()
    assert all(f"\n.SS {name}\n" in text for name, _ in commands_that_run())


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here")
def test_man_takes_the_manual_page() -> None:
    told = subprocess.run(
        ["man", "--warnings", "-l", str(MANUAL)], capture_output=True, text=True, check=True
    )
    assert told.stderr == ""
    assert "EXIT STATUS" in told.stdout
