"""Which dependencies the lab can take, what it says of the others, and what it never touches."""

import asyncio
import contextlib
import sqlite3
import sys

import pytest
from sqlalchemy import create_engine, text

from sessionwatch.lab import preflight, user_dependency
from sessionwatch.lab.database import choose_database
from sessionwatch.lab.errors import LabError
from sessionwatch.lab.guard import LABS_OWN, ElsewhereError, Guard
from sessionwatch.lab.places import place_for

MAKER = "shop.database:SessionLocal"
ASYNC_MAKER = "shop.async_database:session_factory"
GENERATOR = "FastAPI took the generator itself, without @contextmanager"
ENTERED = "entered by the lab, as FastAPI enters no context manager"
HELD = "the session that its instance holds is what handlers are given"
FORMS = (
    ("shop.database:get_db", MAKER, ""),
    ("shop.database:open_session", MAKER, ""),
    ("shop.database:provide", "shop.database:SessionProvider.factory", ""),
    ("shop.database:session_scope", MAKER, GENERATOR),
    ("shop.database:Repository", MAKER, HELD),
    ("shop.database:SessionContext", MAKER, ENTERED),
    ("shop.dependencies:get_tenant_session", MAKER, ""),
    ("shop.dependencies:get_through_module", MAKER, ""),
    ("shop.dependencies:SessionDependency", MAKER, ""),
    ("shop.engine_sessions:get_session", "shop.engine_sessions:engine", ""),
    ("shop.engine_sessions:get_registry", "shop.engine_sessions:registry", ""),
    ("shop.watched:get_db", MAKER, ""),
)
ASYNC_FORMS = (
    ("shop.async_database:get_session", ASYNC_MAKER, ""),
    ("shop.async_database:session_scope", ASYNC_MAKER, GENERATOR),
    ("shop.async_database:SessionContext", ASYNC_MAKER, ENTERED),
)
READING, WRITING = "shop.faulty.wiring:Reading", "shop.faulty.wiring:Writing"
REFUSED = (
    (("get_db",), "'get_db' names nothing that can be imported: write it as package.module:name"),
    (("shop.database:get_bd",), "shop.database has no 'get_bd': did you mean get_db?"),
    (("shop.databases:get_db",), "No module named 'shop.databases' in shop, which is "),
    (("store.database:get_db",), "run this in the folder that holds store"),
    (("shop.database:engine",), "is no function but an Engine"),
    (
        ("shop.database:SessionLocal",),
        "is a sessionmaker, which no route can depend on: name the function",
    ),
    (
        ("shop.faulty.settings:get_db",),
        "failed: shop/faulty/reading.py:2 in read: KeyError: 'SHOP_DATABASE_URL'",
    ),
    (
        ("shop.faulty.missing_library:get_db",),
        "failed: shop/faulty/missing_library.py:1 in <module>: ModuleNotFoundError: ",
    ),
    (
        ("shop.faulty.connecting:get_db",),
        "failed: shop/faulty/connecting.py:3 in <module>: a connection to sqlite+pysqlite:///produ",
    ),
    (("shop.faulty.wiring:get_either",), f"name the one with --sessionmaker {READING}"),
    (("shop.faulty.wiring:get_either", WRITING), f"although {WRITING} was rebound"),
    (("shop.faulty.wiring:get_hidden", MAKER), "make it once in a module"),
    (("shop.faulty.wiring:get_pair", READING), "gives a tuple and not a Session"),
    (("shop.faulty.wiring:get_nothing", READING), "gives a str and not a Session"),
    (("shop.faulty.wiring:get_bound_elsewhere",), "bound to sqlite+pysqlite:///production.db"),
    (
        ("shop.faulty.wiring:get_failing",),
        "failed when it was tried: shop/faulty/wiring.py:34 in get_failing: RuntimeError: no",
    ),
    (("shop.faulty.wiring:Holder",), "gives a Holder and not a Session"),
    (("shop.faulty.wiring:NUMBER",), "is no function but an int"),
    (("shop.dependencies:get_paying_session",), "answered 422 (header api-key: Field required)"),
    (("shop.database:get_db", "shop.database:Base"), "can only rebind a sessionmaker"),
)


@pytest.fixture
def guard():
    guard = Guard()
    guard.start()
    yield guard
    guard.stop()


@pytest.fixture
def take(project, guard, monkeypatch, tmp_path):
    """Imports a dependency of the sample project, tries it once, and returns what is told of it."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def try_it(name, sessionmaker=None):
        yours = user_dependency.load(name, sessionmaker)
        guard.refused.clear()
        database = choose_database(None, is_async=yours.source.is_async)
        place = place_for(database, str(tmp_path), "lab")
        place.create()
        place.reset()
        asyncio.run(preflight.check(yours, place))
        guard.check()
        return yours.describe()

    yield try_it
    watched = sys.modules.get("shop.watched")
    if watched is not None:
        watched.watch.stop()
    for module in [name for name in sys.modules if name.split(".")[0] in ("shop", "broken")]:
        del sys.modules[module]


@pytest.mark.parametrize(("name", "made_by", "remark"), FORMS)
def test_every_form_is_taken(take, name, made_by, remark):
    told = take(name)
    assert (told["made_by"], told["is_async"]) == (made_by, False)
    assert told["remark"] == remark


@pytest.mark.parametrize(("name", "made_by", "remark"), ASYNC_FORMS)
def test_every_async_form_is_taken(take, name, made_by, remark):
    pytest.importorskip("aiosqlite")
    told = take(name)
    assert (told["made_by"], told["is_async"]) == (made_by, True)
    assert told["remark"] == remark


def test_the_source_is_the_users(take):
    told = take("shop.database:get_db_leaking")
    assert told["file"] == "shop/database.py"
    assert told["source"].splitlines() == [
        "def get_db_leaking():",
        "    db = SessionLocal()",
        "    yield db",
        "    db.close()",
    ]


def test_one_of_two_sessionmakers_can_be_named(take):
    told = take("shop.faulty.wiring:get_either", "shop.faulty.wiring:Reading")
    assert told["made_by"] == "shop.faulty.wiring:Reading"


@pytest.mark.parametrize(("arguments", "expected"), REFUSED)
def test_what_cannot_be_used_is_told(take, arguments, expected):
    with pytest.raises(LabError) as refused:
        take(*arguments)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_module_that_is_no_python(take, project, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def get_db(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LabError, match=r"broken\.py:1: SyntaxError: "):
        take("broken:get_db")


def test_the_guard_lets_only_the_labs_engines_connect(tmp_path, guard):
    file = tmp_path / "any.db"
    theirs = create_engine(f"sqlite+pysqlite:///{file}")
    with pytest.raises(ElsewhereError, match="was refused"):
        theirs.connect()
    with pytest.raises(LabError, match="was refused"):
        guard.check()
    assert not file.exists()
    ours = create_engine(f"sqlite+pysqlite:///{file}", execution_options=LABS_OWN)
    with ours.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    ours.dispose()
    with contextlib.closing(sqlite3.connect(file)) as reading:
        assert reading.execute("SELECT count(*) FROM t").fetchone() == (0,)
    guard.stop()
    theirs.connect().close()
    theirs.dispose()
