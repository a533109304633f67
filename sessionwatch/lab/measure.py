"""How one cell is measured: what the client asks, and when the worker is asked what is so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from demo_app.variants import Variant

from .answers import Answer, BurstAnswer
from .channel import Worker
from .client import Client
from .scenarios import Scenario
from .testimony import Proven, Recorded, prove
from .verdict import Comparison, compare, problems_of
from .yours import Yours


@dataclass(frozen=True, slots=True)
class CellResult:
    """One variant in one scenario, measured once, with both testimonies."""

    variant: str
    scenario: str
    recorded: Recorded
    proven: Proven
    burst: BurstAnswer | None
    comparisons: list[Comparison]
    findings: list[dict[str, Any]]
    problems: tuple[str, ...]
    timeline: dict[str, Any] | None
    """The course of the request, or of the one of a burst that went worst."""

    @property
    def disagreements(self) -> list[Comparison]:
        """Where the two testimonies part."""
        return [comparison for comparison in self.comparisons if not comparison.agrees]


class Bench:
    """A worker and its client, on which cells are measured one by one."""

    def __init__(self, worker: Worker, client: Client, pool_size: int, server: str) -> None:
        self.worker = worker
        self.client = client
        self.server = server
        self._pool_size = pool_size

    async def measure(
        self, variant: Variant | Yours, scenario: Scenario, reference: str
    ) -> CellResult:
        """Measure one cell from opening to closing."""
        is_burst = scenario.drive == "burst"
        await self.worker.ask(
            **_opening(variant),
            pool_size=self._pool_size,
            reference=None if is_burst else reference,
        )
        answer, burst = None, None
        if is_burst:
            burst, settled = await self._burst(scenario)
        else:
            answer = await self.client.request(scenario, reference)
            settled = await self.worker.ask("settle")
        collected = await self.worker.ask("collect")
        await self.worker.ask("close")
        return _result(variant.key, scenario, settled, collected, answer, burst)

    async def _burst(self, scenario: Scenario) -> tuple[BurstAnswer, dict[str, Any]]:
        """Overrun the pool, look, ask for good requests, then let the collector help."""
        failing, good = 2 * self._pool_size, self._pool_size
        failing_refused = await self.client.fail_at_once(scenario, failing)
        settled = await self.worker.ask("settle")
        since = time.monotonic()
        good_refused = await self.client.good_at_once(good)
        burst = BurstAnswer(failing, failing_refused, good, good_refused)
        if good_refused == 0:
            burst.recovery_seconds = 0.0
            return burst, settled
        await self.worker.ask("resume_collector")
        burst.recovery_seconds = await self.client.seconds_until_served(good, since)
        return burst, settled


def _opening(variant: Variant | Yours) -> dict[str, Any]:
    if isinstance(variant, Yours):
        named = {"get_db": variant.get_db, "sessionmaker": variant.sessionmaker}
        return {"what": "open_yours", **named}
    return {"what": "open", "variant": variant.key, "is_async": variant.is_async}


def _result(
    variant: str,
    scenario: Scenario,
    settled: dict[str, Any],
    collected: dict[str, Any],
    answer: Answer | None,
    burst: BurstAnswer | None,
) -> CellResult:
    recorded = Recorded.read(settled["snapshot"], collected["snapshot"])
    proven = prove(answer.status if answer else None, settled, collected)
    return CellResult(
        variant=variant,
        scenario=scenario.key,
        recorded=recorded,
        proven=proven,
        burst=burst,
        comparisons=compare(recorded, proven, is_burst=burst is not None),
        findings=collected["snapshot"]["findings"],
        problems=problems_of(proven, burst),
        timeline=collected["timeline"],
    )
