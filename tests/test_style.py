"""Rules of the house that no linter knows."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.import_table import rows

ROOT = Path(__file__).resolve().parent.parent
CODE = ("gateway", "simulator", "loadtests", "dashboards", "benchmarks", "tests", "docs")
WAIT_FOR_A_SERVER = {  # a real PostgreSQL that is away or coming back, and nobody tells when
    "tests/http/test_database_away.py",
    "tests/loadtests/generators.py",  # a process of its own, whose users keep a pace
    "tests/store/test_database_limits.py",
    "tests/store/test_failover.py",
}
ROOMS = ("gateway", "simulator", "loadtests", "dashboards")
MOST_LINES = 450
EMPTY_NAMES = re.compile(r"(utils?|helpers?|common|managers?|misc|tools?)")
NOT_OURS = {".benchmarks", ".git", ".hypothesis", ".venv", "build", "dist", "reports"}
BINARY = {".png", ".jpg", ".ico", ".gz", ".woff2", ".pdf", ".db"}

# Split, so that this file doesn't find itself.
PATHS_OF_A_MACHINE = re.compile(r"(?<![\w.:/{}-])/(?:home|root|work|Users|mnt)/" + r"\w")
REGISTRIES = re.compile(
    "|".join(("py" + r"pi\.org", "python" + "hosted", "index" + "-url", "find" + "-links"))
)


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def tree_texts() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden_cache = any(part.endswith("_cache") or part == "__pycache__" for part in parts)
        if path.is_file() and parts[0] not in NOT_OURS and not hidden_cache and path.suffix not in BINARY:
            yield "/".join(parts), path.read_text(encoding="utf-8", errors="replace")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_stay_short() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*ROOMS)}
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_modules_are_nouns_of_the_trade() -> None:
    assert [relative(path) for path in sources(*CODE) if EMPTY_NAMES.fullmatch(path.stem.strip("_"))] == []


def test_packages_have_no_empty_names() -> None:
    folders = {path.parent for path in sources(*ROOMS)}
    assert [relative(folder) for folder in sorted(folders) if EMPTY_NAMES.fullmatch(folder.name)] == []


@pytest.mark.parametrize("pattern", [PATHS_OF_A_MACHINE, REGISTRIES], ids=["paths", "registries"])
def test_nothing_names_a_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = {
        f"{name}:{number}"
        for name, text in tree_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (PATHS_OF_A_MACHINE, "open('" + "/home" + "/ann/list.csv')"),
        (PATHS_OF_A_MACHINE, "cd " + "/Users" + "/ann"),
        (REGISTRIES, "https://" + "pypi" + ".org/simple"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_the_pins_name_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 20
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []


def test_every_dependency_is_pinned() -> None:
    project = pyproject()["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    pinned = {
        normalised(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    assert [each for each in wanted if normalised(re.split(r"[<>=!~\[]", each)[0]) not in pinned] == []


def test_every_room_has_its_row_in_the_import_table() -> None:
    parts = {part for row in rows(pyproject()) for part in row["part"]}
    modules = {
        f"{package}.{path.stem}"
        for package in ("gateway", "simulator")
        for path in (ROOT / package).iterdir()
        if is_module(path)
    }
    assert modules - parts == set()
    assert "loadtests" in parts


def test_nothing_chooses_by_hash() -> None:
    """hash() of a text differs from run to run; __hash__ itself may use it."""
    assert [found for path in sources(*ROOMS) for found in hash_calls(path)] == []


def test_logs_have_one_style() -> None:
    """Events with fields; the standard library's only where it is told in that style."""
    words = re.compile(r"^(import logging|from logging import)", re.MULTILINE)
    told = {"gateway/logs.py", "gateway/http/library_log.py"}
    using = {relative(path) for path in sources("gateway") if words.search(path.read_text(encoding="utf-8"))}
    assert using == told


def test_no_test_sleeps() -> None:
    """But on the virtual loop, where sleeping takes no time and is what is tested, and between real processes,
    where an outage has to last."""
    sleeping = re.compile(r"\b(time|asyncio|gevent)\.sleep\((?!0\))")
    tests = {path: path.read_text(encoding="utf-8") for path in sources("tests") if path != Path(__file__)}
    processes = ROOT / "tests" / "end_to_end"
    real_time = {
        path: text
        for path, text in tests.items()
        if "simulator.rehearsal.loop" not in text
        and "tests.pipeline.world" not in text
        and processes not in path.parents
    }
    real_time = {path: text for path, text in real_time.items() if relative(path) not in WAIT_FOR_A_SERVER}
    assert [relative(path) for path, text in real_time.items() if sleeping.search(text)] == []


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def is_module(path: Path) -> bool:
    if path.is_dir():
        return any(path.glob("*.py"))
    return path.suffix == ".py" and path.stem != "__init__"


def hash_calls(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "__hash__"
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash"
        if is_call and id(node) not in own:
            yield f"{relative(path)}:{node.lineno}"
