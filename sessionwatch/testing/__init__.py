"""Test suites that fail when a session leaks: what the pytest plugin is made of.

`testing.handle` is imported when a test fails, or asks about itself.
"""

from typing import TYPE_CHECKING

from sessionwatch.submodules import imported_on_demand

if TYPE_CHECKING:
    from sessionwatch.testing import handle as handle

__getattr__ = imported_on_demand(__name__)
