"""Which database a command speaks to: the one that a DSN names, or a PostgreSQL of our own."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config import Settings
from gateway.core.rules.errors import BadInput
from gateway.store.embedded import EmbeddedServer


def database_dsn(settings: Settings) -> str:
    """The DSN given, or that of a PostgreSQL of our own, started here. Raises BadInput.

    It is stopped when the process ends, unless another uses it: the last one stops it.
    """
    if settings.database.dsn is not None:
        return settings.database.dsn
    check_dsn(settings)
    server = EmbeddedServer(data_folder(settings))
    server.start()
    return server.dsn()


def check_dsn(settings: Settings) -> None:
    """Raises BadInput when a DSN must be given and is not."""
    if settings.database.dsn_required and settings.database.dsn is None:
        raise BadInput(
            "no database is given, and a PostgreSQL of our own is not wanted (database.dsn_required)",
            "database.dsn",
            "give it in a settings file that TEXTBANK_CONFIG names, or as TEXTBANK_DATABASE_DSN",
        )


def which_database(settings: Settings) -> str:
    """The database in words, without its password."""
    dsn = settings.database.dsn
    if dsn is None:
        return f"a PostgreSQL of our own in {data_folder(settings)}"
    parts = urlsplit(dsn)
    user, _, hosts = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{'@' if user else ''}{hosts}{parts.path}"


def deciding_setting(settings: Settings) -> str:
    """The setting that says which database it is."""
    return "database.data_dir" if settings.database.dsn is None else "database.dsn"


def data_folder(settings: Settings) -> Path:
    """Where a PostgreSQL of our own keeps its data; by default the user's data folder (XDG), root's /var/lib/textbank.

    Root's own folders are closed to others, and PostgreSQL does not run as root.
    """
    if settings.database.data_dir is not None:
        return Path(settings.database.data_dir).expanduser()
    if os.geteuid() == 0:
        return Path("/var/lib/textbank")
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "textbank"
