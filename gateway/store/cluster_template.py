"""A cluster as `initdb` makes it, kept for the next throwaway: unpacking it takes a tenth of making it anew.

One file in the user's cache folder, a version of PostgreSQL and a set of options each. It is used only if it is ours
and whole; whatever is wrong with it or its folder, there is none, and the cluster is made anew. It is a file for its
user alone: what is in it decides who may connect.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from gateway.store.postgres_programs import Account

_FORMAT: Final = b"textbank cluster 1\n"
_SUFFIX: Final = ".template"
_KEPT: Final = 3  # versions; the oldest go
_TELLING: Final = ("initdb", "postgres")  # programs by whose size and time a version is known
_LENGTH_BYTES: Final = 8
_CHECK_BYTES: Final = 4
_NOT_NEEDED: Final = (
    "_fsm",
    "_vm",
)  # maps of free room and of what all may see: without one the server looks itself


class _Part(msgspec.Struct, array_like=True):
    """A folder or file of the cluster: `size` bytes, of which the first `kept` stand in the template, the rest are 0."""

    path: str
    is_folder: bool
    size: int = 0
    kept: int = 0


class ClusterTemplate:
    """The template that belongs to these programs and options, whether or not there is one yet."""

    def __init__(self, binaries: Path, options: Sequence[str]) -> None:
        self._path: Path | None = None
        with contextlib.suppress(OSError, RuntimeError):  # no such program; no home
            self._path = _cache_folder() / f"cluster-{_key(binaries, options)}{_SUFFIX}"

    def unpack(self, data: Path, account: Account | None) -> bool:
        """Fills the folder `data`, which is made if missing; False, and nothing is left, if there is no good template.

        Raises OSError when the folder can't be written.
        """
        whole = self._read()
        if whole is None:
            return False
        parts, contents = whole
        _place(data, parts, contents, account)
        return True

    def keep(self, data: Path) -> None:
        """Keeps a cluster that no server has used yet. What can't be kept is made anew the next time."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            _make_own(self._path.parent)
            _replace(self._path, _packed(data))
            _drop_old(self._path.parent)

    def drop(self) -> None:
        """It is no good."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _read(self) -> tuple[list[_Part], memoryview] | None:
        if self._path is None:
            return None
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                return _unpacked(file.read()) if _is_ours(os.fstat(handle)) else None
        except (OSError, ValueError):
            return None


def _cache_folder() -> Path:
    """The user's (XDG)."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser().absolute() / "textbank"


def _key(binaries: Path, options: Sequence[str]) -> str:
    seen = [
        (status.st_size, status.st_mtime_ns) for each in _TELLING for status in ((binaries / each).stat(),)
    ]
    return hashlib.sha256(repr((seen, list(options))).encode()).hexdigest()[:16]


def _is_ours(status: os.stat_result) -> bool:
    is_closed = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and is_closed


def _make_own(folder: Path) -> None:
    """Raises PermissionError in another's home: root is not to leave folders there, nor trust them."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if there.stat().st_uid != os.geteuid():
        raise PermissionError(f"{there} is another's")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


# ---------------------------------------------------------------- the file


def _packed(data: Path) -> list[bytes]:
    """Raises OSError for a cluster that has more than folders and files."""
    parts, contents = [], []
    for path in _below(data):
        name = str(path.relative_to(data))
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            parts.append(_Part(name, is_folder=True))
        elif stat.S_ISREG(status.st_mode):
            if name.endswith(_NOT_NEEDED):
                continue
            content = path.read_bytes()
            kept = content.rstrip(b"\0")
            parts.append(_Part(name, is_folder=False, size=len(content), kept=len(kept)))
            contents.append(kept)
        else:
            raise OSError(f"{path} is neither a folder nor a file")
    table = msgspec.json.encode(parts)
    pieces = [_FORMAT, len(table).to_bytes(_LENGTH_BYTES, "big"), table, *contents]
    return [*pieces, _check(pieces).to_bytes(_CHECK_BYTES, "big")]


def _below(folder: Path) -> Iterator[Path]:
    """Everything in it, a folder before what is in that; the same order everywhere."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)


def _check(pieces: Sequence[bytes | memoryview]) -> int:
    value = 0
    for piece in pieces:
        value = crc32(piece, value)
    return value


def _unpacked(whole: bytes) -> tuple[list[_Part], memoryview]:
    """Raises ValueError for what was cut off or changed."""
    view = memoryview(whole)
    body, check = view[:-_CHECK_BYTES], view[-_CHECK_BYTES:]
    start = len(_FORMAT) + _LENGTH_BYTES
    if whole[: len(_FORMAT)] != _FORMAT or _check([body]) != int.from_bytes(check, "big"):
        raise ValueError("not a whole template")
    end = start + int.from_bytes(body[len(_FORMAT) : start], "big")
    parts = msgspec.json.decode(body[start:end], type=list[_Part])
    return parts, body[end:]


def _replace(path: Path, pieces: Sequence[bytes]) -> None:
    """At once, so that another process finds the old one or the new."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        new.replace(path)
    except BaseException:  # a full disk, a signal
        new.unlink(missing_ok=True)
        raise


def _drop_old(folder: Path) -> None:
    kept = sorted(folder.glob(f"cluster-*{_SUFFIX}"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
    for old in kept[_KEPT:]:
        old.unlink(missing_ok=True)


def _place(data: Path, parts: Sequence[_Part], contents: memoryview, account: Account | None) -> None:
    """The cluster's folders and files, for its account alone."""
    data.mkdir(mode=0o700, exist_ok=True)
    _give(data, account)
    at = 0
    for part in parts:
        path = f"{data}/{part.path}"  # a Path each would take longer than the file
        if part.is_folder:
            os.mkdir(path, 0o700)  # noqa: PTH102
        else:
            _write(path, contents[at : at + part.kept], part.size)
            at += part.kept
        _give(path, account)


def _write(path: str, content: memoryview, size: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as file:
        while content:  # less than all is written when the disk is nearly full
            content = content[file.write(content) :]
        if size:
            file.truncate(size)


def _give(path: str | Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)
