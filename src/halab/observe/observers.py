"""The threads that look, each on its own grid of moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from halab.clients.http import client_context
from halab.history import Observation, Record
from halab.inventory import Cluster
from halab.observe.sources import EtcdSource, RestSource, SentinelSource, SqlSource
from halab.observe.view import View
from halab.waiting import next_on_grid

FAST_PERIOD_S = 0.19  # at least five times a second
SLOW_PERIOD_S = 1.0
_JOIN_WITHIN_S = 3.0


class Source(Protocol):
    """One way to ask one node."""

    def look(self) -> Observation:
        """Ask once, within a deadline; a failure is an observation too."""

    def close(self) -> None: ...


class Observers:
    """All observers of a cluster; with Citus of the coordinator's servers, which clients talk to.

    `failed` is told why one of them has ended that was to go on: nothing would be known of its node any more.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        application: str,
        record: Callable[[Record], None],
        view: View,
        failed: Callable[[str], None],
    ) -> None:
        self._record = record
        self._view = view
        self._failed = failed
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(source, period_s), name=f"observe-{number}", daemon=True)
            for number, (source, period_s) in enumerate(_sources(cluster, application, view))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when every observer has ended its last look, at its deadline at the latest."""
        self._stop.set()
        until = time.monotonic() + _JOIN_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _watch(self, source: Source, period_s: float) -> None:
        try:
            self._look(source, period_s)
        except Exception as error:
            self._failed(f"an observer broke, a defect of halab: {type(error).__name__}: {error}")
            raise

    def _look(self, source: Source, period_s: float) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            observation = source.look()
            self._view.update(observation)
            self._record(observation)
            due = next_on_grid(due, period_s, now=time.monotonic())
        source.close()


def _sources(cluster: Cluster, application: str, view: View) -> list[tuple[Source, float]]:
    context = client_context(cluster.tls)
    sources: list[tuple[Source, float]] = []
    for member in cluster.patroni.entry:
        sources.append((SqlSource(cluster, member, application=application, view=view), FAST_PERIOD_S))
        sources.append((RestSource(member, context, view=view), FAST_PERIOD_S))
    sources += [(EtcdSource(cluster, member, context), FAST_PERIOD_S) for member in cluster.etcd.members]
    if cluster.redis is not None:
        sources += [(SentinelSource(cluster, cluster.redis, member), SLOW_PERIOD_S) for member in cluster.redis.members]
    return sources
