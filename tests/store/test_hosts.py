"""Which hosts a DSN names."""

import pytest

from gateway.store.hosts import hosts

ONE = [{}]


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://user:word@a:5432/name", ONE),
        ("postgresql:///name", ONE),
        ("postgresql://user@/name?host=/var/run/postgresql", ONE),
        ("postgresql://user@a:1,b:2/name", [{"host": "a", "port": 1}, {"host": "b", "port": 2}]),
        ("postgresql://us:w,rd@a,b:2/name", [{"host": "a"}, {"host": "b", "port": 2}]),
        ("postgresql://[::1]:5,[::2]/name", [{"host": "::1", "port": 5}, {"host": "::2"}]),
        ("postgresql://u@/n?host=a,b&port=1,2", [{"host": "a", "port": 1}, {"host": "b", "port": 2}]),
        ("postgresql://u@/n?host=/run/a,/run/b", [{"host": "/run/a"}, {"host": "/run/b"}]),
        ("postgresql://u@/n?host=a,b&port=7", [{"host": "a", "port": 7}, {"host": "b", "port": 7}]),
        ("postgresql://u@a:x,b/n", ONE),
        ("postgresql://[::1/n", ONE),
        ("postgres:///%", ONE),
    ],
)
def test_each_host_with_its_port(dsn: str, expected: list[dict[str, object]]):
    assert hosts(dsn) == expected
