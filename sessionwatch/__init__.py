"""Names the SQLAlchemy session that leaked, the request that leaked it and the line of code."""

from sessionwatch.allowances import allow
from sessionwatch.install import install
from sessionwatch.instruments.middleware import SessionWatchMiddleware
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.rules.rule import Finding, Severity
from sessionwatch.settings import Settings
from sessionwatch.snapshot import Snapshot
from sessionwatch.watch import SessionWatch

__version__ = "0.1.0"

__all__ = [
    "Finding",
    "Owner",
    "SessionRecord",
    "SessionWatch",
    "SessionWatchMiddleware",
    "Settings",
    "Severity",
    "Snapshot",
    "allow",
    "install",
]
