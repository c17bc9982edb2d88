"""A role that owns nothing and may do only what it is granted."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit, urlunsplit

from gateway.store.database import Database
from tests.store.cluster import Cluster

READ_AND_WRITE = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
ALL_SEQUENCES = "USAGE ON ALL SEQUENCES IN SCHEMA public"


@contextmanager
def a_guest(cluster: Cluster) -> Iterator[str]:
    """The role's name."""
    name = "a_guest"
    cluster.execute(f"CREATE ROLE {name} LOGIN")
    try:
        yield name
    finally:
        cluster.execute(f"DROP ROLE {name}")


@asynccontextmanager
async def granted(dsn: str, guest: str, *grants: str) -> AsyncIterator[str]:
    """The guest's DSN; its rights go away with the block, or the role could not."""
    owner = Database(dsn, connections=1)
    for grant in grants:
        await owner.script(f"GRANT {grant} TO {guest}")
    where = urlsplit(dsn)
    try:
        yield urlunsplit(where._replace(netloc=where.netloc.replace("postgres", guest)))
    finally:
        await owner.script(f"DROP OWNED BY {guest}")
        await owner.close()
