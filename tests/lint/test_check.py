"""Which files are checked, what is ignored, and what does not parse."""

from __future__ import annotations

import pytest

LEAK = """\
from sqlalchemy.orm import Session


def get_db():
    db = Session()
    yield db{}
    db.close()
"""


def test_comment_allows_and_unused_ones_are_told(lint):
    result = lint({"one.py": LEAK.format("  # sessionwatch: ignore[SW601]")})
    assert (result.findings, result.unused) == ([], [])
    assert lint({"one.py": LEAK.format("  # sessionwatch: ignore")}).findings == []
    above = LEAK.replace("    yield", "    # sessionwatch: ignore[SW601]\n    yield").format("")
    assert lint({"one.py": above}).findings == []
    wrong = lint({"one.py": LEAK.format("  # sessionwatch: ignore[SW606, SW999]")})
    assert [finding.rule.code for finding in wrong.findings] == ["SW601"]
    assert [codes for _, codes in wrong.unused] == [["SW606", "SW999"]]
    text = lint({"one.py": 'TEXT = "# sessionwatch: ignore[SW601]"\n'})
    assert text.unused == []


def test_beginning_of_codes_in_a_comment(lint):
    source = {"one.py": LEAK.format("  # sessionwatch: ignore[sw6]")}
    result = lint(source)
    assert (result.findings, result.unused) == ([], [])
    assert lint(source, reports=lambda code: code != "SW601").unused == []
    in_vain = lint({"one.py": "X = 1  # sessionwatch: ignore[SW6, SW61, SW7]\n"})
    assert [codes for _, codes in in_vain.unused] == [["SW6", "SW61", "SW7"]]


@pytest.mark.parametrize("written", ["ignore [SW606]", "ignore[SW606", "ignore\t[ SW606 ]"])
def test_ignore_with_a_slip_of_the_pen_allows_no_more_than_it_names(lint, written):
    wrong = lint({"one.py": LEAK.format(f"  # sessionwatch: {written}")})
    assert [finding.rule.code for finding in wrong.findings] == ["SW601"]
    right = lint({"one.py": LEAK.format(f"  # sessionwatch: {written}".replace("606", "601"))})
    assert right.findings == []


def test_ignore_of_a_rule_that_is_off_is_not_called_unused(lint):
    source = {"one.py": LEAK.format("  # sessionwatch: ignore[SW601]")}
    assert lint(source, reports=lambda code: code == "SW602").unused == []


def test_file_that_does_not_parse_is_one_line_and_the_rest_is_checked(lint):
    result = lint(
        {
            "bad.py": "def broken(:\n",
            "null.py": "x = '\0'\n",
            "leak.py": LEAK.format(""),
            "latin.py": "# -*- coding: nothing -*-\n",
        }
    )
    assert [finding.rule.code for finding in result.findings] == ["SW601"]
    assert len(result.unreadable) == 3
    assert all("\n" not in reason for _, reason in result.unreadable)
    assert any("line 1" in reason for _, reason in result.unreadable)


def test_what_python_warns_of_is_read_in_silence(lint):
    result = lint({"one.py": LEAK.format("") + "X = '\\d'\n"})
    assert ([finding.rule.code for finding in result.findings], result.unreadable) == (
        ["SW601"],
        [],
    )


def test_encodings(lint, tmp_path):
    (tmp_path / "latin.py").write_bytes(
        b"# -*- coding: latin-1 -*-\n# \xe9\n" + LEAK.format("").encode()
    )
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbf" + LEAK.format("").encode())
    (tmp_path / "lines.py").write_bytes(LEAK.format("").replace("\n", "\r\n").encode())
    assert [finding.line for finding in lint({}).findings] == [6, 8, 6]


def test_folders_that_are_never_meant_and_excludes(lint):
    files = {
        name: LEAK.format("")
        for name in (
            "app.py",
            ".hidden/one.py",
            "venv/one.py",
            "node_modules/one.py",
            "tests/test_one.py",
            "migrations/versions/one.py",
        )
    }
    assert len(lint(files).findings) == 3
    assert len(lint(files, exclude=["tests", "migrations/*"]).findings) == 1
    assert len(lint(files, exclude=["test_*.py"]).findings) == 2


@pytest.mark.parametrize("layout", ["", "src/"])
def test_names_are_followed_across_modules(codes, layout):
    files = {
        f"{layout}shop/__init__.py": "from .sessions import make_session\n",
        f"{layout}shop/sessions.py": "from sqlalchemy.orm import sessionmaker\n"
        "make_session = sessionmaker()\n",
        f"{layout}main.py": "from shop import make_session\n\ndef get_db():\n"
        "    db = make_session()\n    yield db\n    db.close()\n",
    }
    assert codes(files) == ["SW601"]


LEAK_BY_NAME = "    db = {}()\n    yield db\n    db.close()\n"


@pytest.mark.parametrize(
    "imported",
    ["from shop.core import *\n", "from .core import *\n", "from .core.db import make as make\n"],
)
def test_names_behind_stars(codes, imported):
    """A file that only hands names on says nothing of sessions itself."""
    files = {
        "shop/__init__.py": "",
        "shop/core/__init__.py": "from .db import *\n",
        "shop/core/db.py": "from sqlalchemy.orm import *\nmake = sessionmaker()\n",
        "shop/api.py": imported + "def get_db():\n" + LEAK_BY_NAME.format("make"),
    }
    assert codes(files) == ["SW601"]
    files["shop/core/db.py"] += "__all__ = ['Session']\n"
    assert codes(files) == (["SW601"] if "as make" in imported else [])
    files["shop/api.py"] = imported + "def make():\n    return 1\ndef get_db():\n"
    files["shop/api.py"] += LEAK_BY_NAME.format("make")
    assert codes(files) == (["SW601"] if "as make" in imported else [])


@pytest.mark.parametrize("above", ["", "backend/", "services/one/"])
def test_names_below_a_folder_that_is_on_the_path(codes, above):
    """Here a module has the name that people give the session."""
    files = {
        f"{above}db.py": "from sqlalchemy.orm import sessionmaker\nmake = sessionmaker()\n",
        f"{above}api/deps.py": "from db import make\ndef get_db():\n" + LEAK_BY_NAME.format("make"),
        f"{above}main.py": "import db as database\ndef get_db():\n"
        + LEAK_BY_NAME.format("database.make"),
    }
    assert codes(files) == ["SW601", "SW601"]
    other = {f"elsewhere/{name}": text for name, text in files.items() if "db.py" not in name}
    for name in files:
        files[name] = ""
    assert codes(files | other) == []


def test_module_that_is_named_as_the_session(codes):
    files = {
        "db.py": "from sqlalchemy.orm import sessionmaker\nmake = sessionmaker()\n"
        "def get_db():\n" + LEAK_BY_NAME.format("make")
    }
    assert codes(files) == ["SW601"]
    files["db.py"] = "import db\ndef get_db():\n    db = db.make()\n    yield db\n"
    assert codes(files) == []


def test_lines_are_counted_as_python_does(lint):
    text = "'\x1c\u2028'\n\x0c\n" + LEAK.format("\x0c")
    (finding,) = lint({"one.py": text}).findings
    assert (finding.line, finding.reportable().source) == (8, "yield db")
    allowed = "'\x1c\u2028'\n\x0c\n" + LEAK.format("  # sessionwatch: ignore[SW601]")
    result = lint({"one.py": allowed})
    assert (result.findings, result.unused) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "from fastapi import Depends\nx = " + " + ".join(["1"] * 3000) + "\n",
        "from fastapi import Depends\nx = " + "a." * 3000 + "b\n",
        "from fastapi import Depends\nx = " + "f(" * 90 + ")" * 90 + "\n",
    ],
)
def test_deep_nesting_is_told_or_borne(lint, text):
    result = lint({"deep.py": text, "one.py": LEAK.format("")})
    assert [finding.rule.code for finding in result.findings] == ["SW601"]
    assert all("nested" in reason or "read" in reason for _, reason in result.unreadable)


def test_annotations_that_go_in_a_circle(codes):
    assert (
        codes(
            {
                "one.py": "A = B\nB = A\nfrom fastapi import Depends\n"
                "def work(a: A, b: 'B' = Depends(A)):\n    create_task(a)\n    add_task(a)\n"
            }
        )
        == []
    )


def test_imports_that_go_in_a_circle(codes):
    files = {
        "one.py": "from two import SomeSession\nfrom sqlalchemy import select\n",
        "two.py": "from one import SomeSession\nfrom sqlalchemy import select\n",
        "main.py": "from one import SomeSession\n\ndef get_db():\n    yield SomeSession()\n",
        "self.py": "Session = Session\nA = B\nB = A\ndef get_db():\n    yield A()\n",
    }
    assert codes(files) == []
