"""A house of the door's tests, with its traces on."""

from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.config import Settings, Tracing
from gateway.http import load
from gateway.tracing import exporting
from tests.http.house import SETTINGS
from tests.store.cluster import Cluster, shared


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    return shared(pytestconfig)


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    return cluster.empty()


def traced(share: float = 1.0, url: str = "http://127.0.0.1:1", **more: Any) -> Settings:
    return msgspec.structs.replace(SETTINGS, tracing=Tracing(url=url, sampled_share=share, **more))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No send is shed because this machine is busy: what is sent is to be traced."""
    monkeypatch.setattr(load, "BEGINS_WITHIN_S", 60.0)


class Kept:
    """What the collector would have."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """The SDK's own exporter into memory, in the place of the one that sends."""
    kept = Kept()
    monkeypatch.setattr(exporting, "otlp", lambda url: kept.exporter)
    return kept
