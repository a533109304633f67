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


def test_imports_that_go_in_a_circle(codes):
    files = {
        "one.py": "from two import SomeSession\nfrom sqlalchemy import select\n",
        "two.py": "from one import SomeSession\nfrom sqlalchemy import select\n",
        "main.py": "from one import SomeSession\n\ndef get_db():\n    yield SomeSession()\n",
        "self.py": "Session = Session\nA = B\nB = A\ndef get_db():\n    yield A()\n",
    }
    assert codes(files) == []
