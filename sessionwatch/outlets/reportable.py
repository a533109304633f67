"""A finding as reports for CI systems need it: at a line of a file, with a stable fingerprint."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from sessionwatch.records.one_leak import codes_by_chance

_YOURS = "yours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reportable:
    """One finding, of whichever command."""

    code: str
    name: str
    severity: str
    message: str
    fix: str
    cause: str = ""
    file: str | None = None
    """Where to look: a path that is relative to the working directory, if it lies below."""
    line: int = 0
    column: int = 0
    """Counted from 1; 0 where it is not known."""
    function: str = ""
    owner: str = ""
    """Whose it is: a route, a job, a test, a variant of get_db."""
    test: str = ""
    """The test in which it was seen, by its id."""
    stack: tuple[str, ...] = ()
    """The application's frames, innermost first."""
    count: int = 1
    source: str = ""
    """The text of the line, without the white space around it."""

    @classmethod
    def from_finding(cls, plain: Mapping[str, Any], *, test: str = "", owner: str = "") -> Self:
        """Return a finding that a watch made, as `plain_finding` gives it."""
        place = plain["opened_at"] or {}
        file, line = place.get("file"), place.get("line") or 0
        return cls(
            code=plain["code"],
            name=plain["name"],
            severity=plain["severity"],
            message=plain["message"],
            fix=plain["fix"],
            cause=plain["cause"],
            file=file,
            line=line,
            function=place.get("function") or "",
            owner=owner or plain["owner"]["name"],
            test=test,
            stack=tuple(
                f"{frame['file']}:{frame['line']} in {frame['function']}"
                for frame in plain["stack"]
                if frame["origin"] == "application"
            ),
            count=plain["count"],
            source=linecache.getline(file, line).strip() if file else "",
        )

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was made of."""
        known = {name: value for name, value in plain.items() if name != "fingerprint"}
        return cls(**{**known, "stack": tuple(plain["stack"])})

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON, and with its fingerprint."""
        return {**asdict(self), "stack": list(self.stack), "fingerprint": self.fingerprint}

    @property
    def fingerprint(self) -> str:
        """What stays the same when lines are added above: a hash without the line's number."""
        return hashlib.sha256("\0".join(self.identity).encode()).hexdigest()[:32]

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this finding from others."""
        file = Path(self.file).as_posix() if self.file else ""
        code = min(codes_by_chance(self.code))
        return code, self.test, self.owner, file, self.function, self.source

    @property
    def what(self) -> str:
        """The message without the code and name that it begins with."""
        return without_code(self.code, self.name, self.message)

    @property
    def place(self) -> str:
        """The place as a person writes it: "app/db.py:12", or nothing."""
        return f"{self.file}:{self.line}" if self.file else ""


def without_code(code: str, name: str, message: str) -> str:
    """Return a message without what it begins with, where both have been told already."""
    return message.removeprefix(f"{code} {name.replace('-', ' ')}: ")


def worst_first(findings: Iterable[Reportable]) -> list[Reportable]:
    """Return findings by severity, then by code and place."""
    rank = {"error": 0, "warning": 1, "info": 2}
    return sorted(
        findings,
        key=lambda each: (rank[each.severity], each.code, each.file or "", each.line, each.test),
    )


def of_variants(variants: Iterable[Mapping[str, Any]]) -> list[Reportable]:
    """Return what `sessionwatch compare` found, of the user's own get_db alone where it was tried.

    Whose it is are the variant and the scenario.
    """
    tried = list(variants)
    yours = [variant for variant in tried if variant["key"] == _YOURS]
    return [
        Reportable.from_finding(finding, owner=f"{variant['key']} in {cell['scenario']}")
        for variant in yours or tried
        for cell in variant["cells"]
        for finding in cell["findings"]
    ]
