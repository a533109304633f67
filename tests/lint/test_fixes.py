"""`--fix`: what is mechanical is changed, and all else stays byte for byte."""

from __future__ import annotations

import pytest

pytest.importorskip("libcst")

from sessionwatch.lint.fixes import _carried_over, fixed


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


def test_scope_keeps_lines_and_comments(fix):
    source = LATE.replace("(get_db)", "(\n    get_db,  # ours\n)")
    scoped = source.replace("get_db,  # ours", 'get_db, scope="function",  # ours')
    assert fix(source) == (scoped, [])
    renamed = LATE.replace("import Depends,", "import Depends as Given,")
    renamed = renamed.replace("Depends(get_db)", "Given(get_db)")
    assert fix(renamed) == (renamed.replace("(get_db)", '(get_db, scope="function")'), [])


def test_security_takes_no_scope(fix):
    source = LATE.replace("Depends", "Security")
    assert fix(source) == (source, ["SW606"])


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


BROKEN = "\ndef get_db():\n    db = SessionLocal()\n    yield db\n    db.close()\n"
GUARDED = BROKEN.replace(
    "    yield db\n    db.close()\n",
    "    try:\n        yield db\n    finally:\n        db.close()\n",
)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\ufeff", ""),
        ("'\u2028\x85\x1c' # \x0c\n\x0c\n", "\x0c\nx = 1\n"),
        ("", "\n\n   \n\t\n"),
        ("\t\nif x:\n\ty = 1  \n\n", "x = \\\n  1  \n    # end"),
        ("", "x = 1"),
    ],
)
def test_all_else_stays_byte_for_byte(lint, tmp_path, ends, before, after):
    def raw(dependency):
        text = before + HEAD + dependency + after
        return text.replace("\n", ends).encode()

    path = tmp_path / "one.py"
    path.write_bytes(raw(BROKEN))
    (change,) = fixed(lint({}).findings)
    assert (change.before, change.after) == (raw(BROKEN), raw(GUARDED))
    change.write()
    result = lint({})
    assert (result.findings, list(fixed(result.findings))) == ([], [])


def test_nothing_is_written_where_the_text_can_not_be_kept():
    assert _carried_over(b"a\n\x0cb\nc\n\n\n", b"a\nb\nc\n", b"a\nc\n") == b"a\nc\n\n\n"
    assert _carried_over(b"a\nother\nc\n", b"a\nb\nc\n", b"a\nc\n") is None
    assert _carried_over(b"a\n", b"a\nb\n", b"b\n") is None


@pytest.mark.parametrize(
    ("imported", "written"),
    [
        ("from fastapi import Depends as Given, FastAPI", "Given(get_db)"),
        ("import fastapi; from fastapi import FastAPI", "fastapi.Depends(get_db)"),
        ("X = 1; from fastapi import Depends, FastAPI", "Depends(get_db)"),
    ],
)
def test_depends_by_the_name_it_has(fix, imported, written):
    source = HEAD.replace("from fastapi import Depends, FastAPI", imported) + (
        "\ndef get_db():\n    with SessionLocal() as db:\n        yield db\n"
        "\n@app.get('/')\ndef read(db=get_db()):\n    return 1\n"
    )
    assert fix(source) == (source.replace("=get_db()", f"={written}"), [])


def test_what_is_injected_now_is_not_late(fix):
    late = LATE.replace("Depends(get_db)", "get_db()")
    text, left = fix(late)
    assert (text, left) == (LATE.replace("(get_db)", '(get_db, scope="function")'), [])
    assert fix(late, fastapi=(0, 117)) == (LATE, [])


@pytest.mark.parametrize("default", ["SessionLocal()", "get_db(  # why\n)"])
def test_call_that_is_more_than_a_dependency_is_left(fix, default):
    """A sessionmaker would be SW604, and a comment would be lost."""
    source = HEAD + (
        "\ndef get_db():\n    with SessionLocal() as db:\n        yield db\n"
        f"\n@app.get('/')\ndef read(db={default}):\n    return 1\n"
    )
    assert fix(source) == (source, ["SW603"])


def test_what_is_not_mechanical_is_left(fix):
    source = HEAD + (
        "\ndef get_db():\n    db = SessionLocal()\n    if db:\n        yield db\n    db.close()\n"
    )
    assert fix(source) == (source, ["SW601"])
