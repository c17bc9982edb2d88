"""The commit that a worker says it runs."""

from pathlib import Path

import pytest

from gateway.commit import commit_of_this_code

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": COMMIT},
        {".git/HEAD": "ref: refs/heads/main", ".git/refs/heads/main": COMMIT + "\n"},
        {".git/HEAD": "ref: refs/heads/main", ".git/packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main\n"},
        {
            ".git": "gitdir: main/.git/worktrees/wt",
            "main/.git/worktrees/wt/HEAD": "ref: refs/heads/wt",
            "main/.git/worktrees/wt/commondir": "../..",
            "main/.git/refs/heads/wt": COMMIT,
        },
    ],
    ids=["detached", "branch", "packed", "worktree"],
)
def test_a_checkouts_commit_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        put(tmp_path / name, text)
    assert commit_of_this_code(tmp_path, "nothing-of-this-name") == COMMIT[:12]


@pytest.mark.parametrize(
    "files", [{}, {".git/HEAD": "ref: refs/heads/gone"}], ids=["no checkout", "no branch"]
)
def test_what_nobody_knows_is_said(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        put(tmp_path / name, text)
    assert commit_of_this_code(tmp_path, "nothing-of-this-name") == "unknown"
