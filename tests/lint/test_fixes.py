"""`--fix`: what is mechanical is changed, and all else stays byte for byte."""

from __future__ import annotations

import pytest

pytest.importorskip("libcst")

from sessionwatch.lint.fixes import fixed


@pytest.fixture
def fix(lint, tmp_path):
    """Fix a file; returns its text, and the codes that are found afterwards."""

    def run(source, name="main.py", **options):
        result = lint({name: source}, **options)
        for change in fixed(result.findings, options.get("fastapi", (0, 121))):
            change.write()
        left = [each.rule.code for each in lint({}, **options).findings]
        return (tmp_path / name).read_text(), left

    return run


HEAD = """\
from fastapi import Depends, FastAPI
from sqlalchemy.orm import Session, sessionmaker

SessionLocal = sessionmaker()
app = FastAPI( )   # as it was
"""


def test_try_and_finally(fix):
    text, left = fix(
        HEAD
        + '''

def get_db():
    """Give a session."""
    db = SessionLocal()  # open
    # hand it on
    yield db  # here
    print("over")
    db.close()


x = {  'as':1 }
'''
    )
    assert left == []
    assert text == HEAD + (
        '''

def get_db():
    """Give a session."""
    db = SessionLocal()  # open
    # hand it on
    try:
        yield db  # here
        print("over")
    finally:
        db.close()


x = {  'as':1 }
'''
    )


def test_close_is_added_where_there_is_none(fix):
    text, left = fix(HEAD + "\ndef get_db():\n    db = SessionLocal()\n    yield db\n")
    assert left == []
    assert text.endswith("    try:\n        yield db\n    finally:\n        db.close()\n")


def test_commit_gets_its_rollback(fix):
    text, left = fix(
        HEAD + "\ndef get_db():\n  db = SessionLocal()\n  yield db\n  db.commit()\n  db.close()\n"
    )
    assert left == []
    assert text.endswith(
        "  try:\n    yield db\n    db.commit()\n  except BaseException:\n"
        "    db.rollback()\n    raise\n  finally:\n    db.close()\n"
    )


def test_async(fix):
    text, left = fix(
        "from sqlalchemy.ext.asyncio import async_sessionmaker\n"
        "make = async_sessionmaker()\n\nasync def get_db():\n    db = make()\n    yield db\n"
        "    await db.commit()\n    await db.close()\n",
        fastapi=(0, 115),
    )
    assert left == []
    assert "        await db.rollback()\n" in text
    assert "    finally:\n        await db.close()\n" in text


def test_depends(fix):
    text, left = fix(
        "from fastapi import FastAPI\nfrom sqlalchemy.orm import Session\n\napp = FastAPI()\n\n"
        "def get_db():\n    with Session() as db:\n        yield db\n\n"
        "@app.get('/')\ndef read(é: int, db: Session=get_db()):\n    return 1\n"
    )
    assert left == []
    assert "def read(é: int, db: Session=Depends(get_db)):" in text
    assert "from fastapi import Depends, FastAPI\n" in text


def test_depends_of_a_call(fix):
    source = HEAD + (
        "\ndef get_db():\n    with SessionLocal() as db:\n        yield db\n"
        "\n@app.get('/')\ndef read(db=Depends(get_db())):\n    return 1\n"
    )
    text, left = fix(source)
    assert left == []
    assert "def read(db=Depends(get_db)):" in text


LATE = HEAD + (
    "\ndef get_db():\n    with SessionLocal.begin() as db:\n        yield db\n"
    "\n@app.get('/')\ndef read(db: Session = Depends(get_db)):\n    return 1\n"
)


def test_scope(fix):
    text, left = fix(LATE)
    assert (left, text) == ([], LATE.replace("(get_db)", '(get_db, scope="function")'))


def test_scope_takes_the_place_of_another(fix):
    text, left = fix(LATE.replace("(get_db)", '(get_db, scope="request", use_cache=False)'))
    assert left == []
    assert 'Depends(get_db, use_cache=False, scope="function")' in text


def test_no_scope_for_a_fastapi_that_has_none(fix):
    assert fix(LATE, fastapi=(0, 119)) == (LATE, ["SW606"])


def test_no_scope_where_a_generator_takes_the_session(fix):
    """FastAPI would refuse to start."""
    direct = LATE.replace("@app.get('/')\ndef read", "def get_more").replace("return", "yield")
    assert fix(direct) == (direct, ["SW606"])
    alias = HEAD + (
        "from typing import Annotated\n"
        "def get_db():\n    with SessionLocal.begin() as db:\n        yield db\n"
        "Database = Annotated[Session, Depends(get_db)]\n"
        "def get_more(db: Database):\n    yield db\n"
    )
    assert fix(alias, name="alias.py")[0] == alias


@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_line_ends_and_encoding_stay(lint, tmp_path, ends):
    source = (
        "# -*- coding: latin-1 -*-\n# é\nfrom sqlalchemy.orm import Session\n\n\n"
        "def get_db():\n\tdb = Session()\n\tyield db\n\tdb.close()"
    )
    path = tmp_path / "one.py"
    path.write_bytes(source.replace("\n", ends).encode("latin-1"))
    (change,) = fixed(lint({}).findings)
    change.write()
    raw = path.read_bytes()
    expected = source.replace(
        "\tyield db\n\tdb.close()", "\ttry:\n\t\tyield db\n\tfinally:\n\t\tdb.close()"
    )
    assert raw.decode("latin-1").rstrip() == expected.replace("\n", ends).rstrip()


def test_what_is_not_mechanical_is_left(fix):
    source = HEAD + (
        "\ndef get_db():\n    db = SessionLocal()\n    if db:\n        yield db\n    db.close()\n"
    )
    assert fix(source) == (source, ["SW601"])
