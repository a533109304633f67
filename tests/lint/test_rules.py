"""Each static rule: code that has the fault, beside the correct code that looks most like it."""

from __future__ import annotations

import pytest

from sessionwatch.lint.catalog import LINT_CATALOG
from sessionwatch.rules.prelude import PRELUDE

USE = """
@app.get("/")
def read(db: Session = Depends(get_db)):
    return db.scalar(select(1))
"""


@pytest.mark.parametrize("code", LINT_CATALOG)
def test_examples(codes, code):
    rule = LINT_CATALOG[code]
    assert set(codes({"broken.py": PRELUDE + rule.broken})) == {code}


@pytest.mark.parametrize("code", LINT_CATALOG)
def test_correct_examples(codes, code):
    rule = LINT_CATALOG[code]
    assert codes({"correct.py": PRELUDE + rule.correct}) == []


def dependency(body: str, prefix: str = "def") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"\n{prefix} get_db():\n{lines}\n{USE}"


LEAKY = {
    "never closed": "db = SessionLocal()\nyield db",
    "annotated": "db: Session = SessionLocal()\nyield db\ndb.close()",
    "in the yield itself": "yield SessionLocal()",
    "session class": "db = Session(engine)\nyield db\ndb.close()",
    "maker made here": "make = sessionmaker(engine)\ndb = make()\nyield db\ndb.close()",
    "close in the try": "db = SessionLocal()\ntry:\n    yield db\n    db.close()\n"
    "except Exception:\n    db.rollback()\n    raise",
    "close in one handler": "db = SessionLocal()\ntry:\n    yield db\nexcept ValueError:\n"
    "    db.close()\n    raise\ndb.close()",
    "other finally": "db = SessionLocal()\ntry:\n    yield db\n"
    "finally:\n    print('over')\ndb.close()",
}
SOUND = {
    "with": "with SessionLocal() as db:\n    yield db",
    "with later": "db = SessionLocal()\nwith db:\n    yield db",
    "closing": "with closing(SessionLocal()) as db:\n    yield db",
    "finally": "db = SessionLocal()\ntry:\n    yield db\nfinally:\n    db.close()",
    "nested finally": "db = SessionLocal()\ntry:\n    try:\n        yield db\n"
    "    except ValueError:\n        raise\nfinally:\n    db.close()",
    "helper": "db = SessionLocal()\ntry:\n    yield db\nfinally:\n    close_it(db)",
    "stack": "with ExitStack() as stack:\n    db = SessionLocal()\n"
    "    stack.callback(db.close)\n    yield db",
    "entered": "with ExitStack() as stack:\n"
    "    db = stack.enter_context(SessionLocal())\n    yield db",
    "handlers and end": "db = SessionLocal()\ntry:\n    yield db\nexcept BaseException:\n"
    "    db.close()\n    raise\ndb.close()",
    "begin block": "with SessionLocal() as db:\n    yield db",
    "not a session": "db = open('file')\nyield db\ndb.close()",
    "left by hand": "db = SessionLocal()\ndb.__enter__()\ntry:\n    yield db\n"
    "finally:\n    db.__exit__(None, None, None)",
    "scoped": "db = scoped_session(SessionLocal)\ntry:\n    yield db\nfinally:\n    db.remove()",
}


@pytest.mark.parametrize("body", LEAKY.values(), ids=LEAKY)
def test_sw601(codes, body):
    assert codes(dependency(body)) == ["SW601"]


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_sw601_is_silent(codes, body):
    assert codes(dependency(body)) == []


def test_sw601_async_and_context_managers(codes):
    leaky = "db = AsyncLocal()\nyield db\nawait db.close()"
    assert codes(dependency(leaky, "async def")) == ["SW601"]
    sound = "async with AsyncLocal() as db:\n    yield db"
    assert codes(dependency(sound, "async def")) == []
    shielded = (
        "db = AsyncLocal()\ntry:\n    yield db\nfinally:\n    await asyncio.shield(db.close())"
    )
    assert codes(dependency(shielded, "async def")) == []
    manager = (
        "\n@contextmanager\ndef session():\n    db = SessionLocal()\n    yield db\n    db.close()\n"
    )
    assert codes(manager) == ["SW601"]
    fixture = (
        "\nimport pytest\n@pytest.fixture\ndef session():\n    db = SessionLocal()\n    yield db\n"
    )
    assert codes(fixture) == []


def test_sw601_class_dependencies(codes):
    source = """
class Database:
    def __init__(self, engine):
        self.make = sessionmaker(engine)

    def __call__(self):
        db = self.make()
        {}

get_db = Database(engine)
"""
    assert codes(source.format("yield db\n        db.close()") + USE) == ["SW601"]
    sound = "try:\n            yield db\n        finally:\n            db.close()"
    assert codes(source.format(sound) + USE) == []


def test_methods_of_classes_and_of_objects(codes):
    source = """
class Database:
    make: object = sessionmaker(engine)

    def __init__(self):
        self.made_later: object = None

    def prepare(self):
        self.made_later = sessionmaker(engine)

    def leaking(self):
        db = self.made_later()
        yield db
        db.close()

    @classmethod
    def leaking_too(cls):
        db = cls.make()
        yield db
        db.close()

    def returning(self):
        return self.make()

    def sound(self):
        with self.make() as db:
            yield db

    @staticmethod
    def not_a_session():
        return 1

database = Database()

@app.get("/")
def read(
    a=Depends(database.returning), b=Depends(database.sound), c=Depends(Database.not_a_session)
):
    return 1
"""
    assert codes(source) == ["SW601", "SW601", "SW602"]


NESTED = """
def create_app():
    make = sessionmaker(engine)

    def get_db():
        db = make()
        {}

    app = FastAPI()

    @app.get("/")
    def read(db: Session = {}):
        return 1

    return app
"""


@pytest.mark.parametrize(
    ("body", "injected", "found"),
    [
        ("yield db; db.close()", "Depends(get_db)", ["SW601"]),
        ("yield db; db.close()", "get_db()", ["SW601", "SW603"]),
        ("return db", "Depends(get_db)", ["SW602"]),
        ("yield from (db for db in [db])", "Depends(get_db)", []),
        ("return 1", "get_db()", []),
    ],
)
def test_dependencies_in_functions(codes, body, injected, found):
    assert codes(NESTED.format(body, injected)) == found


def test_sessionmakers_that_functions_are_given(codes):
    source = """
def create_app({}):
    def get_db():
        db = make()
        yield db
        db.close()
"""
    assert codes(source.format("make: sessionmaker")) == ["SW601"]
    assert codes(source.format("make")) == []
    assert codes("\ndef make():\n    return 1\n" + source.format("")) == []


SCOPE = """
@asynccontextmanager
async def session_scope():
    async with AsyncLocal() as db:
        yield db
        {}
"""
DELEGATING = """
async def get_db():
    try:
        async with session_scope() as db:
            yield db
            {}
    except Exception:
        {}

@app.get("/")
async def read(db: AsyncSession = Depends(get_db)):
    return 1
"""


@pytest.mark.parametrize(
    ("scope", "body", "handler", "found"),
    [
        ("pass", "pass", "raise", []),
        ("await db.commit()", "pass", "raise", ["SW606"]),
        ("pass", "await db.commit()", "raise", ["SW606"]),
        ("pass", "pass", "pass", ["SW607"]),
    ],
)
def test_dependency_that_has_a_context_manager_of_its_own(codes, scope, body, handler, found):
    assert codes(SCOPE.format(scope) + DELEGATING.format(body, handler)) == found


def test_sw602(codes):
    assert codes(dependency("db = SessionLocal()\nreturn db")) == ["SW602"]
    assert codes(dependency("with SessionLocal() as db:\n    return db")) == ["SW602"]
    assert codes(USE.replace("get_db", "lambda: SessionLocal()")) == ["SW602"]
    assert codes(dependency("return AsyncLocal()", "async def")) == ["SW602"]
    assert codes(dependency("db: Session = SessionLocal()\nreturn db")) == ["SW602"]


def test_sw602_is_silent(codes):
    kept = "\ndef get_db(request):\n    db = SessionLocal()\n    request.state.db = db\n"
    kept += "    return db\n"
    assert codes(kept + USE) == []
    assert codes(dependency("state.db = db = SessionLocal()\nreturn db")) == []
    assert codes(dependency("db = SessionLocal()\nkeep(session=db)\nreturn db")) == []
    assert codes("\ndef make():\n    return SessionLocal()\n") == []
    assert codes(dependency("return SessionLocal")) == []
    managed = "\n@contextmanager\ndef get_db():\n    with SessionLocal() as db:\n        yield db\n"
    assert codes(managed) == []


SOUND_GET_DB = "\ndef get_db():\n    with SessionLocal() as db:\n        yield db\n"


def test_sw603(codes):
    route = "\n@app.get('/')\ndef read(db={}):\n    return 1\n"
    assert codes(SOUND_GET_DB + route.format("get_db()")) == ["SW603"]
    assert codes(route.format("SessionLocal()")) == ["SW603"]
    assert codes(SOUND_GET_DB + route.format("Depends(get_db())")) == ["SW603"]
    quiz = "\n@app.get('/')\ndef read(db: get_db = Session()):\n    return 1\n"
    assert codes(SOUND_GET_DB + quiz) == ["SW603"]
    assert codes(SOUND_GET_DB + route.format("Depends(get_db)")) == []
    assert codes(SOUND_GET_DB + "\ndef work(db=get_db()):\n    return 1\n") == []
    factory = "\ndef provide():\n    return get_db\n"
    assert codes(SOUND_GET_DB + factory + route.format("Depends(provide())")) == []


def test_sw604(codes):
    route = "\n@app.get('/')\ndef read(db: {}):\n    return 1\n"
    assert codes(route.format("Session = Depends(Session)")) == ["SW604"]
    assert codes(route.format("Session = Depends(SessionLocal)")) == ["SW604"]
    assert codes(route.format("Session = Depends()")) == ["SW604"]
    assert codes(route.format("Annotated[AsyncSession, Depends(AsyncLocal)]")) == ["SW604"]
    own = "\nclass Own(Session):\n    pass\n"
    assert codes(own + route.format("Own = Depends(Own)")) == ["SW604"]
    other = "\nclass Query:\n    pass\n"
    assert codes(other + route.format("Query = Depends(Query)")) == []
    assert codes(other + route.format("Query = Depends()")) == []


def test_sw605(codes):
    late = {"fastapi": (0, 115)}
    assert codes(dependency("db = SessionLocal()\nyield db\ndb.commit()\ndb.close()"), **late) == [
        "SW605"
    ]
    final = "db = SessionLocal()\ntry:\n    yield db\nfinally:\n    db.commit()\n    db.close()"
    assert codes(dependency(final), **late) == ["SW605"]
    half = (
        "with SessionLocal() as db:\n    try:\n        yield db\n    finally:\n        db.commit()"
    )
    assert codes(dependency(half), **late) == ["SW605"]


def test_sw605_is_silent(codes):
    late = {"fastapi": (0, 115)}
    full = (
        "db = SessionLocal()\ntry:\n    yield db\n    db.commit()\n"
        "except BaseException:\n    db.rollback()\n    raise\nfinally:\n    db.close()"
    )
    assert codes(dependency(full), **late) == []
    assert (
        codes(dependency("with SessionLocal() as db:\n    yield db\n    db.commit()"), **late) == []
    )
    assert codes(dependency("with SessionLocal.begin() as db:\n    yield db"), **late) == []
    closed = "db = SessionLocal()\ntry:\n    yield db\n    db.commit()\nfinally:\n    db.close()"
    assert codes(dependency(closed), **late) == []


@pytest.mark.parametrize(
    "body",
    [
        "with SessionLocal.begin() as db:\n    yield db",
        "with SessionLocal() as db, db.begin():\n    yield db",
        "with SessionLocal() as db:\n    with db.begin():\n        yield db",
        "with SessionLocal() as db:\n    yield db\n    db.commit()",
        "with SessionLocal() as db:\n    try:\n        yield db\n"
        "    except BaseException:\n        db.rollback()\n        raise\n"
        "    else:\n        db.commit()",
    ],
)
def test_sw606(codes, body):
    source = dependency(body)
    assert codes(source, fastapi=(0, 121)) == ["SW606"]
    assert codes(source, fastapi=None) == ["SW606"]
    assert codes(source, fastapi=(0, 117)) == []
    scoped = source.replace("Depends(get_db)", 'Depends(get_db, scope="function")')
    assert codes(scoped) == []
    assert codes(source.replace("Depends(get_db)", 'Depends(get_db, scope="request")')) == ["SW606"]
    assert codes(source.replace("Depends(get_db)", "Depends(get_db, scope=None)")) == ["SW606"]
    assert codes(source.replace("Depends(get_db)", "Depends(get_db, scope=SCOPE)")) == []
    assert codes(source.replace("Depends(get_db)", "Depends(get_db, **early)")) == []


def test_sw606_alias_across_modules(lint):
    result = lint(
        {
            "shop/__init__.py": "",
            "shop/database.py": "from sqlalchemy.orm import sessionmaker\n"
            "SessionLocal = sessionmaker()\n"
            "def get_db():\n    with SessionLocal.begin() as db:\n        yield db\n",
            "shop/deps.py": "from typing import Annotated\nfrom fastapi import Depends\n"
            "from sqlalchemy.orm import Session\nfrom .database import get_db as get_session\n"
            "Database = Annotated[Session, Depends(get_session)]\n",
        }
    )
    (finding,) = result.findings
    assert (finding.rule.code, finding.line) == ("SW606", 5)
    assert finding.module.path.endswith("deps.py")
    database = finding.module.path.replace("deps.py", "database.py")
    assert f"(line 4 of {database})" in finding.message
    assert finding.fix.startswith('Inject it with `Depends(get_session, scope="function")`')


SWALLOWING = "with SessionLocal() as db:\n    try:\n        yield db\n    except {}:\n        {}"


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        ("Exception", "db.rollback()", ["SW607"]),
        ("ValueError as error", "print(error)", ["SW607"]),
        ("BaseException", "pass", ["SW607"]),
        ("Exception", "db.rollback(); raise", []),
        ("ValueError as error", "raise HTTPException(400) from error", []),
        ("ValueError as error", "raise_http_error(error)", []),
        ("GeneratorExit", "pass", []),
    ],
)
def test_sw607(codes, kind, body, found):
    assert codes(dependency(SWALLOWING.format(kind, body))) == found


def test_sw607_leaves_context_managers_alone(codes):
    body = "\n".join(f"    {line}" for line in SWALLOWING.format("ValueError", "pass").splitlines())
    assert codes(f"\n@contextmanager\ndef quietly():\n{body}\n") == []


def test_sw608(codes):
    route = "\n@app.get('/')\ndef read():\n    return {}.scalar(select(1))\n"
    assert codes("\ndb = SessionLocal()\n" + route.format("db")) == ["SW608"]
    assert codes("\ndb = Session(engine)\n" + route.format("db")) == ["SW608"]
    files = {
        "state.py": "from sqlalchemy.orm import Session\nsession = Session()\n",
        "main.py": "import state\nfrom fastapi import FastAPI\nfrom sqlalchemy.orm import Session\n"
        "app = FastAPI()\n@app.get('/')\ndef read():\n    return state.session.get(1, 2)\n",
    }
    assert codes(files) == ["SW608"]


def test_sw608_is_silent(codes):
    route = "\n@app.get('/')\ndef read():\n    return {}.scalar(select(1))\n"
    assert codes("\ndb = scoped_session(SessionLocal)\n" + route.format("db")) == []
    assert codes("\ndb = SessionLocal()\ndb.execute(select(1))\ndb.close()\n") == []
    shadowed = "\ndb = SessionLocal()\n\n@app.get('/')\ndef read(db: int):\n    return db\n"
    assert codes(shadowed) == []
    start = "\ndb = SessionLocal()\ndb.execute(select(1))\ndb.close()\n"
    opened = "\n@app.get('/')\ndef read():\n    with SessionLocal() as db:\n        return db\n"
    assert codes(start + opened) == []
    annotated = "\n@app.get('/')\ndef read():\n    db: Session = SessionLocal()\n    db.close()\n"
    assert codes(start + annotated) == []
    shared = "\n@app.get('/')\ndef read():\n    global db\n    db = SessionLocal()\n"
    assert codes(start + shared) == ["SW608"]


ESCAPING = {
    "task": "asyncio.create_task(work(db))",
    "kept task": "task = asyncio.create_task(work(db))\n    tasks.append(task)",
    "background": "background.add_task(work, db)",
    "keyword": "background.add_task(work, session=db)",
    "lambda": "background.add_task(lambda: work(db))",
    "closure": "def later():\n        work(db)\n    background.add_task(later)",
    "loop": "loop = asyncio.get_running_loop()\n    loop.create_task(work(db))",
    "executor": "asyncio.get_event_loop().run_in_executor(None, work, db)",
    "thread": "threading.Thread(target=work, args=(db,)).start()",
}
STAYING = {
    "awaited": "await asyncio.create_task(work(db))",
    "awaited later": "task = asyncio.create_task(work(db))\n    await task",
    "gathered": "one = asyncio.create_task(work(db))\n    await asyncio.gather(one)",
    "joined": "thread = threading.Thread(target=work, args=(db,))\n    thread.start()\n"
    "    thread.join()",
    "an id": "background.add_task(work, db_id)",
    "own session": "def later():\n        with SessionLocal() as session:\n"
    "            work(session)\n    background.add_task(later)",
    "awaited executor": "loop = asyncio.get_running_loop()\n"
    "    await loop.run_in_executor(None, work, db)",
    "group": "async with asyncio.TaskGroup() as group:\n        group.create_task(work(db))",
    "other add_task": "queue.add_task(work, db)",
}


def escaping(statement: str) -> str:
    return f"""{SOUND_GET_DB}
@app.post("/")
async def create(background: BackgroundTasks, db: Session = Depends(get_db)):
    {statement}
    return 1
"""


@pytest.mark.parametrize("statement", ESCAPING.values(), ids=ESCAPING)
def test_sw609(codes, statement):
    assert codes(escaping(statement)) == ["SW609"]


@pytest.mark.parametrize("statement", STAYING.values(), ids=STAYING)
def test_sw609_is_silent(codes, statement):
    assert codes(escaping(statement)) == []


@pytest.mark.parametrize(
    ("tasks", "session", "found"),
    [
        ("BackgroundTasks", "db=Depends(get_db)", ["SW609"]),
        ("'BackgroundTasks'", "db: 'Session' = Depends(get_db)", ["SW609"]),
        ("BackgroundTasks | None", "db: Session | None = Depends(get_db)", ["SW609"]),
        ("Optional[BackgroundTasks]", "db: Optional['Session'] = Depends(get_db)", ["SW609"]),
        ("Annotated[BackgroundTasks, 'x']", "db: 'Annotated[Session, 1]' = 1", ["SW609"]),
        ("BackgroundTasks", "db: int = 1", []),
        ("Queue", "db: Session = Depends(get_db)", []),
        ("'no annotation!'", "db: Session = Depends(get_db)", []),
    ],
)
def test_sw609_annotations(codes, tasks, session, found):
    source = f"""
from typing import Optional
@app.post("/")
def create(background: {tasks}, {session}):
    background.add_task(work, db)
"""
    assert codes(SOUND_GET_DB + source) == found


def test_sw609_in_a_route_that_no_decorator_makes(codes):
    source = """
def create(background: BackgroundTasks, db: Session{}):
    background.add_task(work, db)

app.add_api_route("/", create)
"""
    assert codes(SOUND_GET_DB + source.format(" = Depends(get_db)")) == ["SW609"]
    assert codes(SOUND_GET_DB + source.format("")) == []


def test_sw610(codes):
    taken = "\ndef work():\n    db = next(get_db())\n    return db\n"
    assert codes(SOUND_GET_DB + taken) == ["SW610"]
    looped = "\ndef work():\n    for db in get_db():\n        return db.scalar(select(1))\n"
    assert codes(SOUND_GET_DB + looped) == ["SW610"]
    asynchronous = """
async def get_async_db():
    async with AsyncLocal() as db:
        yield db

async def work():
    async for db in get_async_db():
        return await db.scalar(select(1))
"""
    assert codes(asynchronous) == ["SW610"]


def test_sw610_is_silent(codes):
    kept = (
        "\ndef work():\n    with closing(get_db()) as generator:\n        db = next(generator)\n"
        "        return db.scalar(select(1))\n"
    )
    assert codes(SOUND_GET_DB + kept) == []
    handed_on = "\ndef override():\n    for db in get_db():\n        yield db\n"
    assert codes(SOUND_GET_DB + handed_on) == []
    managed = "\ndef work():\n    with contextmanager(get_db)() as db:\n        return db\n"
    assert codes(SOUND_GET_DB + managed) == []


def test_snippet_without_imports(codes):
    """As in questions 4 and 5 of the quiz."""
    assert codes(
        "def get_db():\n    db = Session()\n    yield db\n    db.close()\n", imports=""
    ) == ["SW601"]
