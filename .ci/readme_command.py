"""Print one of the README's two commands: the shell block after `<!-- command: NAME -->`."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def command(name: str) -> str:
    """Return the block of that name; raises `SystemExit` when the README has none."""
    pattern = rf"<!-- command: {re.escape(name)} -->\s*```(?:sh|bash|console)\n(.*?)```"
    block = re.search(pattern, README.read_text(encoding="utf-8"), re.DOTALL)
    if block is None:
        raise SystemExit(f"README.md has no command named {name!r}")
    return block[1]


if __name__ == "__main__":
    sys.stdout.write(command(sys.argv[1]))
