"""The client: asks a variant's server what a scenario says and notes what it was told."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import httpx

from .answers import Answer
from .scenarios import BURST_GOOD_PATH, Scenario

_REQUEST_SECONDS = 30.0
_RECOVERY_SECONDS = 10.0


class Client:
    """An httpx client for one worker's port, deaf to the environment's proxies."""

    def __init__(self, port: int) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            timeout=_REQUEST_SECONDS,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
            # Plain HTTP: the empty context saves the time to load every certificate authority.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def close(self) -> None:
        """Close the client."""
        await self._http.aclose()

    async def request(self, scenario: Scenario, reference: str) -> Answer:
        """Make the scenario's one request and read the answer to its end, or leave it half-way."""
        status: int | None = None
        try:
            async with self._http.stream(**_request(scenario, reference)) as response:
                status = response.status_code
                async for _ in response.aiter_bytes():
                    if scenario.drive == "disconnect":
                        return Answer(status, complete=False)
        except httpx.TransportError:
            return Answer(status, complete=False)
        return Answer(status, complete=True)

    async def fail_at_once(self, scenario: Scenario, count: int) -> int:
        """Send `count` failing requests at the same time; return how many were not told 400."""
        requests = (_request(scenario, f"burst-{number}") for number in range(count))
        statuses = await asyncio.gather(*(self._status(**request) for request in requests))
        return sum(status != 400 for status in statuses)

    async def good_at_once(self, count: int) -> int:
        """Send `count` good requests at the same time; return how many were not told 200."""
        asked = (self._status(method="GET", url=BURST_GOOD_PATH) for _ in range(count))
        return sum(status != 200 for status in await asyncio.gather(*asked))

    async def seconds_until_served(self, count: int, since: float) -> float | None:
        """Repeat rounds of good requests until one is served whole; None if none was in time."""
        while time.monotonic() - since < _RECOVERY_SECONDS:
            if await self.good_at_once(count) == 0:
                return time.monotonic() - since
        return None

    async def get_status(self, path: str) -> int | None:
        """Return the status of one GET; None when there was no answer."""
        return await self._status(method="GET", url=path)

    async def get_json(self, path: str) -> Any:
        """Return what one GET answers in JSON; None when it answers otherwise."""
        try:
            return (await self._http.get(path)).json()
        except (httpx.TransportError, ValueError):
            return None

    async def _status(self, **request: Any) -> int | None:
        try:
            return (await self._http.request(**request)).status_code
        except httpx.TransportError:
            return None


def _request(scenario: Scenario, reference: str) -> dict[str, Any]:
    if scenario.method == "GET":
        return {"method": "GET", "url": scenario.path, "params": {"reference": reference}}
    return {"method": "POST", "url": scenario.path, "json": {"reference": reference}}
