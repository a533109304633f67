"""Names the SQLAlchemy session that leaked, the request that leaked it and the line of code."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionwatch.allowances import allow
    from sessionwatch.installation import install
    from sessionwatch.instruments.middleware import SessionWatchMiddleware
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.session import SessionRecord
    from sessionwatch.rules.rule import Finding, Severity
    from sessionwatch.settings import Settings
    from sessionwatch.snapshot import Snapshot
    from sessionwatch.testing.errors import LeakError
    from sessionwatch.testing.no_leaks import no_leaks
    from sessionwatch.watch import SessionWatch

__version__ = "0.1.0"

__all__ = [
    "Finding",
    "LeakError",
    "Owner",
    "SessionRecord",
    "SessionWatch",
    "SessionWatchMiddleware",
    "Settings",
    "Severity",
    "Snapshot",
    "allow",
    "install",
    "no_leaks",
]

_MODULES = {
    "Finding": "rules.rule",
    "LeakError": "testing.errors",
    "Owner": "records.owner",
    "SessionRecord": "records.session",
    "SessionWatch": "watch",
    "SessionWatchMiddleware": "instruments.middleware",
    "Settings": "settings",
    "Severity": "rules.rule",
    "Snapshot": "snapshot",
    "allow": "allowances",
    "install": "installation",
    "no_leaks": "testing.no_leaks",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a process that never starts a watch pays for none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
