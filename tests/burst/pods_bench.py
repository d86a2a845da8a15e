"""The controller of pods on real Postgres, a RunPod of its own, pods that read pages, and one clock for all of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, text

from quire import media_types
from quire.burst.controller import PodBurst, Report
from quire.burst.runpod_pods import RunpodPods
from quire.contracts import OcrOptions, PageText
from quire.database import burst, documents, leases, workers
from quire.database.engine import transaction
from quire.database.leases import Lease
from quire.database.tables import BurstPod
from quire.settings import Settings
from tests.burst.fake_runpod import KEY, FakePod, FakeRunpod, serving

MINUTE = 60.0
LEASE_SECONDS = 150.0


@dataclass
class PodsBench:
    """`pages_a_look` is what a pod reads between two looks."""

    database: Engine
    settings: Settings
    runpod: FakeRunpod
    client: RunpodPods
    burst: PodBurst
    pages_a_look: int = 30
    held: dict[str, Lease] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    documents: list[uuid.UUID] = field(default_factory=list)

    def tick(self, **named: Any) -> Report:
        return self.burst.tick(self.runpod.now, **named)

    def another(self, client: RunpodPods | None = None, **named: Any) -> PodBurst:
        """Another controller of the same deployment."""
        return PodBurst(self.settings, self.database, client or self.client, **named)

    def submit(self, pages: int) -> None:
        """A document that has been opened, and of which no page has been read."""
        new = documents.NewDocument(uuid.uuid4(), "b", "k", OcrOptions(), page_number=None)
        with transaction(self.database) as session:
            documents.create(session, new, has_ticket=True)
        with transaction(self.database) as session:
            documents.begin_plan(session, new.id, seconds=60)
            numbers = range(1, pages + 1)
            documents.plan(session, new.id, documents.Plan(pages, numbers, media_types.PDF, None, None))
        self.documents.append(new.id)

    def minute(self, tick: bool = True) -> None:
        """One minute: the controller looks, time passes, pods have read."""
        if tick:
            self.tick()
        self.pass_time(MINUTE)
        self.work()

    def work(self) -> None:
        """Every pod that has booted finishes what it holds, says that it is there, and takes more unless it drains."""
        alive = [pod for pod in self.runpod.pods.values() if pod.boots_at is not None]
        for pod in alive:
            if pod.boots_at is not None and self.runpod.now >= pod.boots_at and pod.id not in self.mute:
                self._work(pod)
        for gone in set(self.held) - set(self.runpod.pods):
            del self.held[gone]

    def _work(self, pod: FakePod) -> None:
        assert pod.boots_at is not None
        with transaction(self.database) as session:
            if (held := self.held.pop(pod.id, None)) is not None:
                leases.write_pages(session, held, [_read(number) for number in held.numbers])
        with transaction(self.database) as session:
            uptime = self.runpod.now - pod.boots_at
            is_asked = workers.note(session, heartbeat(pod.id, uptime))
            if not is_asked and (lease := self._lease(session)) is not None:
                self.held[pod.id] = lease
        with transaction(self.database) as session:
            workers.note(session, heartbeat(pod.id, uptime, draining=is_asked, busy=pod.id in self.held))

    def _lease(self, session: Any) -> Lease | None:
        for document_id in self.documents:
            lease = leases.lease_pages(session, document_id, most=self.pages_a_look, seconds=LEASE_SECONDS, attempts=50)
            if lease is not None:
                return lease
        return None

    def pass_time(self, seconds: float) -> None:
        """Let time pass for RunPod, for every lease, and for whoever looks at when something was."""
        self.runpod.advance(seconds)
        back = f"- interval '{seconds} s'"
        with transaction(self.database) as session:
            session.execute(
                text(f"""
                    UPDATE documents SET touched_at = touched_at {back}, finished_at = finished_at {back}
                    WHERE finished_at IS NULL OR finished_at > now() - interval '10 min'
                """)
            )
            session.execute(
                text(f"""
                    UPDATE pages
                    SET lease_expires_at = lease_expires_at {back}, finished_at = finished_at {back}
                    WHERE lease_expires_at IS NOT NULL OR finished_at > now() - interval '10 min'
                """)
            )
            session.execute(text(f"UPDATE workers SET seen_at = seen_at {back}, started_at = started_at {back}"))

    def rows(self) -> list[BurstPod]:
        with transaction(self.database) as session:
            return burst.pods_there(session)

    def spent_today(self) -> float:
        with transaction(self.database) as session:
            return burst.spent_today(session, self.runpod.now)

    def pages_left(self) -> int:
        with transaction(self.database) as session:
            self.documents = [
                each
                for each in self.documents
                if session.scalar(text("SELECT status = 'running' FROM documents WHERE id = :id"), {"id": each})
            ]
            return int(session.scalar(text("SELECT count(*) FROM pages WHERE status IN ('pending', 'leased')")) or 0)


def heartbeat(pod_id: str, uptime: float, *, draining: bool = False, busy: bool = False) -> workers.Heartbeat:
    return workers.Heartbeat(
        uuid.uuid5(uuid.NAMESPACE_OID, pod_id), f"ocr@{pod_id}", pod_id, "ocr", pod_id, 4, draining, busy, uptime
    )


def _read(number: int) -> PageText:
    return PageText(
        page_number=number,
        width=10,
        height=10,
        rotation=0,
        source="ocr",
        engine="test",
        text=f"page {number}",
        detections=(),
    )


class Killed(BaseException):
    """The controller's process ends here."""


@contextmanager
def opened_bench(database: Engine, runpod: FakeRunpod | None = None, **settings: Any) -> Iterator[PodsBench]:
    """A bench with these settings besides its own."""
    made = Settings(
        **{
            "runpod_api_key": KEY,
            "runpod_pod_image": "registry.example/quire:1",
            "runpod_pod_gpu_types": "GPU-A,GPU-B",
            "runpod_pod_env": '{"DATABASE_URL": "{{ RUNPOD_SECRET_database }}"}',
            "quire_burst": "pods",
            "quire_burst_page_seconds": 2.0,
            "quire_burst_tick_seconds": MINUTE,
            "quire_burst_polls": 2,
            "quire_burst_target_seconds": 300,
            "quire_burst_oldest_seconds": 300,
            "quire_burst_max_per_hour": 1.5,
            "quire_burst_max_per_day": 20.0,
            **settings,
        }
    )
    runpod = runpod or FakeRunpod()
    with serving(runpod), RunpodPods(runpod.url, SecretStr(KEY), "main", pause=lambda _: None) as client:
        yield PodsBench(database, made, runpod, client, PodBurst(made, database, client))


def until(bench: PodsBench, condition: Any, most: int = 60) -> None:
    """Let minutes pass until something holds."""
    for _ in range(most):
        if condition():
            return
        bench.minute()
    raise AssertionError(bench.runpod.pods)
