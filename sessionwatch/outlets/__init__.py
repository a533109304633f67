"""Where findings and snapshots go: readers only, without a verdict of their own.

A watch imports `outlets.log` and what else it tells through when it starts; that of a test run,
when there is something to tell. The commands import the others.
"""

from typing import TYPE_CHECKING

from sessionwatch.submodules import imported_on_demand

if TYPE_CHECKING:
    from sessionwatch.outlets import log as log
    from sessionwatch.outlets import plain as plain
    from sessionwatch.outlets import reportable as reportable
    from sessionwatch.outlets import timeline as timeline

__getattr__ = imported_on_demand(__name__)
