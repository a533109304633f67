"""One rule per code: a settled owner in, findings out; no input or output, no clock.

A watch imports `rules.sw101` and the others when it starts; that of a test run, when there is
something to judge.
"""

from typing import TYPE_CHECKING

from sessionwatch.submodules import imported_on_demand

if TYPE_CHECKING:
    from sessionwatch.rules import catalog as catalog
    from sessionwatch.rules import codes as codes
    from sessionwatch.rules import lookup as lookup
    from sessionwatch.rules import rule as rule
    from sessionwatch.rules import sw101 as sw101
    from sessionwatch.rules import sw102 as sw102
    from sessionwatch.rules import sw103 as sw103
    from sessionwatch.rules import sw203 as sw203
    from sessionwatch.rules import sw303 as sw303
    from sessionwatch.rules import sw501 as sw501

__getattr__ = imported_on_demand(__name__)
