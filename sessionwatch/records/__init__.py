"""What was seen: plain values with no knowledge of SQLAlchemy, of ASGI or of any rule.

`records.incident` is imported when something goes wrong.
"""

from typing import TYPE_CHECKING

from sessionwatch.submodules import imported_on_demand

if TYPE_CHECKING:
    from sessionwatch.records import incident as incident

__getattr__ = imported_on_demand(__name__)
