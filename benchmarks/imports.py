"""What `import sessionwatch` adds to importing SQLAlchemy and Starlette."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PROGRAM = """
import time
import sqlalchemy, sqlalchemy.orm, starlette.applications, starlette.middleware
started = time.process_time()
import sessionwatch
print(time.process_time() - started)
"""


def measure(processes: int) -> list[float]:
    """Return the seconds of processor time that it took in each of several new processes."""
    _seconds()  # the first one writes the compiled files
    return [_seconds() for _ in range(processes)]


def _seconds() -> float:
    # Whoever has turned compiled files off would measure the compiler.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _PROGRAM],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(done.stdout)
