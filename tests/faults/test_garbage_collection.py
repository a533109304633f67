"""The garbage collector runs inside every lock of ours, and what it ends asks for no lock."""

from __future__ import annotations

import ast
import gc
import importlib
import pkgutil
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool, StaticPool

import sessionwatch
from sessionwatch import SessionWatch, Settings

PACKAGE = Path(sessionwatch.__file__).parent
ONE = select(1)
GARBAGE = 8
REAL = {"Lock": threading.Lock, "RLock": threading.RLock}
KINDS = {type(make()): name for name, make in REAL.items()}


def sites():
    """Where the package makes locks, by file and line, as its source says."""
    for path in PACKAGE.rglob("*.py"):
        if "lab" not in path.relative_to(PACKAGE).parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in REAL:
                    yield str(path), node.lineno


def _name(function):
    return getattr(function, "attr", getattr(function, "id", None))


class Collecting:
    """A lock in which garbage is made and collected as soon as somebody has it.

    Where a thread waits for a lock that it has itself, it raises instead of waiting for good.
    """

    def __init__(self, kind, site, stock, taken):
        self._lock = REAL[kind]()
        self._reentrant = kind == "RLock"
        self._site = site
        self._stock = stock
        self._taken = taken
        self._holder = None
        self._depth = 0

    def acquire(self, blocking=True, timeout=-1):
        mine = self._holder == threading.get_ident()
        if mine and not self._reentrant:
            self._taken.append(("DEADLOCK", self._site))
            raise AssertionError(f"the lock of {self._site} is taken twice")
        if not self._lock.acquire(blocking, timeout):
            return False
        self._holder = threading.get_ident()
        self._depth += 1
        if not mine:
            self._taken.append(("taken", self._site))
            self._collect()
        return True

    def _collect(self):
        if self._stock:
            self._stock.pop()
            gc.collect()

    def release(self):
        self._depth -= 1
        if not self._depth:
            self._holder = None
        self._lock.release()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exception):
        self.release()


def modules():
    for found in pkgutil.walk_packages([str(PACKAGE)], "sessionwatch."):
        if not found.name.startswith(("sessionwatch.lab", "sessionwatch.__main__")):
            yield importlib.import_module(found.name)


def _classes_of(module):
    for each in vars(module).values():
        if isinstance(each, type) and each.__module__ == module.__name__:
            yield each


@pytest.fixture
def taken():
    """What happened to the locks."""
    return []


@pytest.fixture
def stock():
    """Garbage to be collected, kept until then."""
    return []


@pytest.fixture
def collecting_locks(monkeypatch, stock, taken):
    """Have every lock of the package replaced, those that it makes from now on too."""
    for module in modules():
        owners = [module, *_classes_of(module)]
        for owner in owners:
            for name, value in list(vars(owner).items()):
                if type(value) in KINDS:
                    site = (module.__file__, name)
                    lock = Collecting(KINDS[type(value)], site, stock, taken)
                    monkeypatch.setattr(owner, name, lock)

    def maker(kind):
        def make():
            frame = sys._getframe(1)
            if not frame.f_code.co_filename.startswith(str(PACKAGE)):
                return REAL[kind]()
            return Collecting(kind, (frame.f_code.co_filename, frame.f_lineno), stock, taken)

        return make

    for kind in REAL:
        monkeypatch.setattr(threading, kind, maker(kind))


def in_a_cycle(thing):
    """Hold a thing so that only the garbage collector lets go of it."""
    cycle = [thing]
    cycle.append(cycle)
    return cycle


def leaked_session(make_session):
    session = make_session()
    session.execute(ONE)
    return session


def leaked_connection(make_session):
    connection = make_session.kw["bind"].connect()
    connection.execute(ONE)
    return connection


def abandoned_generator(make_session):
    """What `next(get_db())` leaves: its session is closed by the collector, in our lock."""

    def get_db():
        with make_session() as session:
            yield session

    generator = get_db()
    next(generator).execute(ONE)
    return generator


def busy_generator(make_session):
    """One that works with its session when it is given up."""

    def get_db():
        session = make_session()
        try:
            yield session
        finally:
            session.rollback()
            session.execute(ONE)
            session.close()
            with make_session() as other:
                other.execute(ONE)

    generator = get_db()
    next(generator).execute(ONE)
    return generator


KINDS_OF_GARBAGE = [
    leaked_session,
    leaked_connection,
    abandoned_generator,
    busy_generator,
]


def work(watch, make_session, engine):
    """Take every lock of ours, some of them with garbage about."""
    with watch.owner("clean"), make_session() as session:
        session.execute(ONE)
    with watch.owner("leaks"):
        late = make_session()
        late.execute(ONE)
    late.close()
    late.execute(ONE)
    late.close()
    with engine.connect() as connection:
        connection.execute(ONE)
    for _ in range(3):
        make_session().execute(ONE)
        gc.collect()
    watch.inspect_connections()
    watch.snapshot()


@pytest.fixture
def no_automatic_collection():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("pool_class", [QueuePool, StaticPool])
@pytest.mark.parametrize("garbage", KINDS_OF_GARBAGE, ids=lambda each: each.__name__)
def test_collection_in_every_lock(
    collecting_locks,
    no_automatic_collection,
    stock,
    taken,
    make_engine,
    truth,
    unharmed,
    clock,
    garbage,
    pool_class,
):
    sizes = {"pool_size": 400} if pool_class is QueuePool else {}
    options = {"poolclass": pool_class, "connect_args": {"check_same_thread": False}}
    engine = make_engine(**options, **sizes)

    def make_session():
        return truth.session_class(engine)

    make_session.kw = {"bind": engine}
    watch = SessionWatch(Settings(log_findings=False), clock=clock, wall_clock=clock.wall)
    for _ in range(2):
        with watch:
            for kind in ("process", "job"):
                for _ in range(GARBAGE):
                    clock.advance()
                    if kind == "job":
                        with watch.owner("litter"):
                            stock.append(in_a_cycle(garbage(make_session)))
                    else:
                        stock.append(in_a_cycle(garbage(make_session)))
                work(watch, make_session, engine)
            stock.clear()
            gc.collect()
            if pool_class is StaticPool:
                engine.connect().close()  # until then, nobody hears of what came back
            unharmed(watch)
    assert [each for each in taken if each[0] == "DEADLOCK"] == []


def test_all_locks_are_known(collecting_locks, stock, taken, make_engine):
    """Each place of the source that makes a lock makes one that was taken here."""
    engine = make_engine(pool_size=2, max_overflow=0, pool_timeout=0.001)
    with SessionWatch(Settings(idle_hold_seconds=0.001)) as watch:
        work(watch, lambda: Session(engine), engine)
        with engine.connect(), engine.connect(), pytest.raises(PoolTimeoutError):
            engine.connect()
        for _ in range(2000):
            if any("watchdog" in site[0] for _, site in taken):
                break
            threading.Event().wait(0.005)
    files = {site[0] for _, site in taken}
    assert files == {path for path, _ in sites()}
