"""What `import sessionwatch` adds to importing SQLAlchemy and Starlette."""

import statistics
import subprocess
import sys

_PROGRAM = """
import time
started = time.process_time()
import sqlalchemy, sqlalchemy.orm, starlette.applications, starlette.middleware
{more}
print(time.process_time() - started)
"""


def measure(pairs: int) -> float:
    """Return the median difference, in seconds of processor time, over pairs of new processes."""
    _seconds("import sessionwatch")  # the first one writes the compiled files
    differences = []
    for _ in range(pairs):
        without = _seconds("")
        differences.append(_seconds("import sessionwatch") - without)
    return statistics.median(differences)


def _seconds(more: str) -> float:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _PROGRAM.format(more=more)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(done.stdout)
