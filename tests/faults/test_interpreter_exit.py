"""The interpreter ends while sessions are open; nothing of ours makes a noise or hangs."""

import pytest

COMMON = """
import asyncio, sys, threading
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session
from sessionwatch import SessionWatch, Settings

ONE = select(1)
engine = create_engine(f"sqlite:///{sys.argv[1]}", pool_size=20)
watch = SessionWatch(Settings(log_findings=False, idle_hold_seconds=0.002)).start()
"""
ENDINGS = {
    "falls off the end": "",
    "exits": "sys.exit(0)",
    "stops the watch": "watch.stop()",
    "stops it at exit": "import atexit; atexit.register(watch.stop)",
    "takes a snapshot at exit": "import atexit; atexit.register(watch.snapshot)",
}
SITUATIONS = {
    "open session": """
session = Session(engine)
session.execute(ONE)
""",
    "open in a job": """
owner = watch.owner("job")
owner.__enter__()
session = Session(engine)
session.execute(text("INSERT INTO item (name) VALUES ('a')"))
""",
    "in a cycle": """
session = Session(engine)
session.execute(ONE)
session.info["cycle"] = session
del session
""",
    "abandoned generator": """
def get_db():
    with Session(engine) as session:
        yield session
generator = get_db()
next(generator).execute(ONE)
cycle = [generator]
cycle.append(cycle)
del generator
""",
    "daemon threads in transactions": """
ready = threading.Barrier(9)
def work():
    with watch.owner("thread"), Session(engine) as session:
        session.execute(ONE)
        ready.wait()
        while True:
            session.execute(ONE)
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
ready.wait()
""",
    "async session": """
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
async def main():
    made = create_async_engine(f"sqlite+aiosqlite:///{sys.argv[1]}")
    async with AsyncSession(made) as session:
        await session.execute(ONE)
    other = AsyncSession(made)
    await made.dispose()
    return other
left = asyncio.run(main())
""",
    "module that keeps all": """
import builtins
session = Session(engine)
session.execute(ONE)
builtins.kept = [session, watch, engine, watch.snapshot()]
""",
}


PAIRS = [
    (situation, ending)
    for number, situation in enumerate(SITUATIONS)
    for other, ending in enumerate(ENDINGS)
    if ending == "falls off the end" or (number + other) % 2
]
"""Every situation falls off the end; of the other endings each has about half, in turn."""


@pytest.mark.parametrize(("situation", "ending"), PAIRS)
def test_silent_end(run_program, database_path, situation, ending):
    if situation == "async session":
        pytest.importorskip("aiosqlite")
    program = COMMON + SITUATIONS[situation] + "print('ended')\n" + ENDINGS[ending] + "\n"
    done = run_program(program, str(database_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
