"""Where findings and snapshots go: readers only, without a verdict of their own.

`outlets.log` and the others are imported when there is something to tell.
"""

from typing import TYPE_CHECKING

from sessionwatch.submodules import imported_on_demand

if TYPE_CHECKING:
    from sessionwatch.outlets import log as log
    from sessionwatch.outlets import plain as plain
    from sessionwatch.outlets import reportable as reportable
    from sessionwatch.outlets import timeline as timeline

__getattr__ = imported_on_demand(__name__)
