"""The parts of these pages that the code itself says: `python -m docs.generate` writes them anew.

A page holds a generated part between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; the rest of it is
written by hand. A test compares every part with what the code says.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from docs.generate.blocks import BLOCKS
from docs.generate.manual import manual

DOCS = Path(__file__).resolve().parent.parent
MANUAL = DOCS / "textbank.1"

_PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def filled(text: str) -> str:
    """The page with every generated part as the code says it now; KeyError for a part nobody makes."""
    return _PART.sub(lambda part: f"{part[1]}\n{BLOCKS[part['name']]().strip()}\n\n{part[3]}", text)


def parts(text: str) -> list[str]:
    """The names of a page's generated parts."""
    return [part["name"] for part in _PART.finditer(text)]


def pages() -> Iterator[Path]:
    """Every page of the documentation."""
    yield from sorted(DOCS.rglob("*.md"))


def write() -> list[Path]:
    """Bring every page up to date; returns those that changed."""
    changed = []
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            changed.append(page)
    if not MANUAL.exists() or MANUAL.read_text(encoding="utf-8") != manual():
        MANUAL.write_text(manual(), encoding="utf-8")
        changed.append(MANUAL)
    return changed
