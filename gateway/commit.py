"""Which commit runs: of the checkout that this code lies in, or of the repository that it was installed from."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

UNKNOWN: Final = "unknown"
_SHOWN: Final = 12


def commit_of_this_code(root: Path = Path(__file__).parent.parent, package: str = "textbank") -> str:
    """The first 12 digits; "unknown" for a wheel that was built of nobody knows what. Reads files only."""
    found = _of_checkout(root / ".git") or _of_install(package)
    return found[:_SHOWN] or UNKNOWN


def _of_checkout(git: Path) -> str:
    try:
        if git.is_file():  # a worktree says where its own things are
            git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        common = git / "commondir"
        shared = (git / common.read_text().strip()).resolve() if common.exists() else git
        return _loose(git / name) or _loose(shared / name) or _packed(shared / "packed-refs", name)
    except OSError:
        return ""


def _loose(ref: Path) -> str:
    return ref.read_text().strip() if ref.is_file() else ""


def _packed(refs: Path, name: str) -> str:
    if not refs.is_file():
        return ""
    pairs = (line.split() for line in refs.read_text().splitlines() if line[:1] not in "#^")
    return next((pair[0] for pair in pairs if pair[1:] == [name]), "")


def _of_install(package: str) -> str:
    """pip writes down the commit of what it took from a repository."""
    try:
        told = distribution(package).read_text("direct_url.json") or "{}"
    except PackageNotFoundError:
        return ""
    return str(json.loads(told).get("vcs_info", {}).get("commit_id", ""))
