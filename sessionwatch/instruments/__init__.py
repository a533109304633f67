"""The only code that touches the hooks of SQLAlchemy and ASGI.

`instruments.detached` is imported when something goes wrong.
"""

from typing import TYPE_CHECKING

from sessionwatch.submodules import imported_on_demand

if TYPE_CHECKING:
    from sessionwatch.instruments import detached as detached

__getattr__ = imported_on_demand(__name__)
