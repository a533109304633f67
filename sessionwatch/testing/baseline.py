"""Findings that are known and tolerated, so that a suite with old leaks can begin today."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from sessionwatch.outlets.reportable import Reportable

_VERSION = 1
_SHOWN = ("code", "test", "owner", "file", "function", "source")
"""What an entry is for people; the fingerprint is made of the same."""


class BaselineError(ValueError):
    """A baseline that can't be read or written: one line says which, and what to do."""


def read_baseline(path: str) -> dict[str, dict[str, str]]:
    """Return the entries of a baseline by their fingerprints; raises `BaselineError`."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        is_baseline = document.get("version") == _VERSION
        entries = document["findings"] if is_baseline else ()
        by_fingerprint = {entry["fingerprint"]: entry for entry in entries}
    except FileNotFoundError:
        raise BaselineError(
            f"there is no baseline {path}: make it with --sessionwatch-write-baseline"
        ) from None
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise BaselineError(
            f"can't read the baseline {path} ({type(error).__name__}): make it anew with "
            "--sessionwatch-write-baseline"
        ) from None
    if not is_baseline:
        raise BaselineError(
            f"{path} is no baseline (a report, perhaps): name another file, and make it with "
            "--sessionwatch-write-baseline"
        )
    return by_fingerprint


def write_baseline(path: str, findings: Iterable[Reportable]) -> int:
    """Write what was found now, and return how many entries that makes; raises `OSError`."""
    found = {each.fingerprint: each for each in findings}
    entries = [
        {**{name: getattr(each, name) for name in _SHOWN}, "fingerprint": fingerprint}
        for fingerprint, each in found.items()
    ]
    entries.sort(key=lambda entry: [entry[name] or "" for name in _SHOWN])
    text = json.dumps({"version": _VERSION, "findings": entries}, indent=2)
    Path(path).write_text(text + "\n", encoding="utf-8")
    return len(entries)
