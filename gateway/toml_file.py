"""A settings file: its text, its tables, and on which line a setting stands."""

import re
import tomllib
from pathlib import Path
from typing import Any

from gateway.core.rules.errors import BadInput


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("the settings file is not UTF-8 text", str(path), "save it as UTF-8") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(
            "can't read the settings file", f"{path} ({reason})", "name a readable TOML file"
        ) from error


def parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput("the settings file is not valid TOML", str(path), str(error)) from error


def line_of(path: Path, text: str, section: str, name: str | None) -> str:
    """`path:line` of a section or of a setting in it; only the path when it is spelled in an unusual way."""
    wanted = {(section, name), ("", section)} if name is None else {(section, name)}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*[\"']?([^\]\"']+?)[\"']?\s*\]", line):
            table, key = header[1], None
        else:
            assigned = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line)
            key = assigned[1] if assigned else ""
        if (table, key) in wanted:
            return f"{path}:{number}"
    return str(path)
