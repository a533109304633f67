"""Which findings are reported, and which ignore entries were of any use."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sessionwatch import rules
from sessionwatch.records.redaction import shown_path
from sessionwatch.settings import KEYWORD, Settings

if TYPE_CHECKING:
    from sessionwatch.configuration import Found


def codes_asked(name: str, text: str | None, place: str) -> list[Found]:
    """Return a setting such as `select`, if it is asked for in a line: "SW601,SW602"."""
    codes = tuple((text or "").replace(",", " ").split())
    return [(name, codes, place)] if codes else []


class Selection:
    """What the settings select and ignore; where both fit a code, the longer entry decides."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._selected = (*settings.select, *settings.extend_select)
        self._used: set[str] = set()

    def reports(self, code: str, label: str) -> bool:
        """Whether a finding of this code and owner is reported; notes what ignores it."""
        selected = [entry for entry in self._selected if code.startswith(entry)]
        rule = rules.catalog.CATALOG.get(code)
        if not selected or (rule is not None and rule.opt_in and code not in selected):
            return False
        most_specific = max(map(len, selected))
        ignoring = [
            *(
                entry
                for entry in self._settings.ignore
                if code.startswith(entry) and len(entry) >= most_specific
            ),
            *self._ignoring_on_route(code, label),
        ]
        self._used.update(ignoring)
        return not ignoring

    def unused_ignores(self) -> list[str]:
        """Return the entries that matched nothing, those of a route as "GET /items/{id}=SW201"."""
        return [entry for entries in self._unused().values() for entry in entries]

    def where_to_remove(self) -> dict[str, list[str]]:
        """Return the entries that matched nothing by the setting and place where they stand."""
        sources = self._settings.sources
        return {
            f"{setting} ({_shown(sources.get(setting, KEYWORD))})": entries
            for setting, entries in self._unused().items()
            if entries
        }

    def _unused(self) -> dict[str, list[str]]:
        return {
            "ignore": self._without_use(self._settings.ignore),
            "per_route_ignores": self._without_use(
                _route_entry(pattern, code)
                for pattern, codes in self._settings.per_route_ignores.items()
                for code in codes
            ),
        }

    def _without_use(self, entries: Iterable[str]) -> list[str]:
        return [entry for entry in dict.fromkeys(entries) if entry not in self._used]

    def _ignoring_on_route(self, code: str, label: str) -> Iterable[str]:
        for pattern, entries in self._settings.per_route_ignores.items():
            matching = [entry for entry in entries if code.startswith(entry)]
            if matching and _matches(label, pattern):
                yield from (_route_entry(pattern, entry) for entry in matching)


def _shown(place: str) -> str:
    """Return the place of a setting, such as `[tool.sessionwatch] of /srv/app/pyproject.toml`."""
    head, of, path = place.partition(" of ")
    return f"{head}{of}{shown_path(path)}"


def _matches(label: str, pattern: str) -> bool:
    """Whether a label fits, of which a bracket is a part like any other character."""
    return fnmatchcase(label, pattern.replace("[", "[[]"))


def _route_entry(pattern: str, code: str) -> str:
    return f"{pattern}={code}"
