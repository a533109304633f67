"""What a leak raises."""

from __future__ import annotations


class LeakError(AssertionError):
    """Something that was to leave no session open did; the text names each and its line."""
