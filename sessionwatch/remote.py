"""The report of another process, read from its `/debug/sessions`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

TOKEN_VARIABLE = "SESSIONWATCH_TOKEN"  # noqa: S105
_DEFAULT_PATH = "/debug/sessions"
_TIMEOUT_SECONDS = 10.0
_KEYS = frozenset({"totals", "routes", "open_sessions", "findings", "pools"})
_NEWER_KEYS = frozenset({"matching"})


class RemoteError(Exception):
    """Why there is no report, in one line that says what to do."""


class Remote:
    """A running application's `/debug/sessions`, as of `http://127.0.0.1:8000`.

    Raises `RemoteError` for what is no such URL.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = _whole_url(url)
        self._token = token
        headers = {"Accept": "application/json"}
        if token is not None:
            # As bytes, since a token may hold more than ASCII.
            headers["Authorization"] = f"Bearer {token}".encode("utf-8", "surrogateescape")  # type: ignore[assignment]
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the report, narrowed by filters as the page has them; raises `RemoteError`."""
        try:
            answer = self._client.get(self.url, params=filters or {})
        except httpx.TimeoutException:
            raise RemoteError(
                f"{self.url} did not answer within {_TIMEOUT_SECONDS:.0f} s"
            ) from None
        except httpx.HTTPError as error:
            raise RemoteError(
                f"{self.url} does not answer ({error or type(error).__name__}): is the application "
                "running there?"
            ) from None
        return self._report_in(answer)

    def _report_in(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise RemoteError(self._refusal_in(answer))
        if answer.status_code != httpx.codes.OK:
            raise RemoteError(
                f"{self.url} answers with status {answer.status_code}: give the whole address that "
                "sessionwatch is installed at"
            )
        report = _json_in(answer)
        if not isinstance(report, dict) or not report.keys() >= _KEYS:
            raise RemoteError(f"what answers at {self.url} is not sessionwatch")
        if not report.keys() >= _NEWER_KEYS:
            raise RemoteError(
                f"the sessionwatch that answers at {self.url} is older than this one: use one "
                "version on both sides"
            )
        return report

    def _refusal_in(self, answer: httpx.Response) -> str:
        """Say what to do about status 403, whoever gave it."""
        detail = _json_in(answer)
        reason = detail.get("detail") if isinstance(detail, dict) else None
        if not isinstance(reason, str) or "sessionwatch" not in reason:
            return f"{self.url} answers with status 403, and it is not sessionwatch that does"
        if "asks for a token" not in reason:
            return f"{self.url}: {reason}"
        if self._token is None:
            return f"{self.url} asks for a token: set {TOKEN_VARIABLE} to it"
        return f"{self.url} does not know the token in {TOKEN_VARIABLE}"


def _whole_url(url: str) -> str:
    """Return where the report is, for an application's address or for the report's own."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise RemoteError(f"{url!r} is no URL ({error})") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise RemoteError(f"{url!r} is no URL of a server: give one such as http://127.0.0.1:8000")
    if parsed.path in ("", "/"):
        parsed = parsed.copy_with(path=_DEFAULT_PATH)
    return str(parsed.copy_with(query=None, fragment=None, username=None, password=None))


def _json_in(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
