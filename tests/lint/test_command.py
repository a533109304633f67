"""`sessionwatch lint`, as it is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sessionwatch.cli import main
from sessionwatch.outlets.unified_diff import unified_diff

LEAK = """\
from sqlalchemy.orm import Session


def get_db():
    db = Session()
    yield db
    db.close()
"""


USE = """

from fastapi import Depends, FastAPI

app = FastAPI()


@app.get("/")
def read(db: Session = Depends(make_db)):
    return db.info
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in a folder that has one leak; returns its status and what it printed."""
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    Path("shop/db.py").write_text(LEAK)
    Path("clean.py").write_text("print('nothing')\n")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["lint", *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_text(command):
    status, out, err = command(".")
    assert (status, err) == (1, "")
    first, source, fix, total = out.splitlines()
    assert first == (
        "shop/db.py:6:5: SW601 yield without finally: the session that get_db yields is closed "
        "only if nothing is raised (error)"
    )
    assert source == "    yield db"
    assert fix.startswith("    fix: Write `with SessionLocal() as db: yield db`")
    assert total == "1 finding in 2 files"


def test_clean(command):
    assert command("clean.py") == (0, "no findings in 1 file\n", "")


def test_comments_that_ignore_nothing(command):
    Path("clean.py").write_text(
        "X = 1  # sessionwatch: ignore[SW606, SW999]\nY = 2  # sessionwatch: ignore\n"
    )
    assert command("clean.py")[1].splitlines() == [
        "clean.py:1: nothing here to ignore: SW606, SW999 (lint has no such code)",
        "clean.py:2: nothing here to ignore: any",
        "no findings in 1 file",
    ]


def test_formats(command):
    _, out, _ = command("--format", "json", "shop")
    (finding,) = json.loads(out)["findings"]
    assert (finding["code"], finding["line"], finding["column"]) == ("SW601", 6, 5)
    _, out, _ = command("--format", "sarif", ".")
    (result,) = json.loads(out)["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 6, "startColumn": 5}
    _, out, _ = command("--format", "github", ".")
    assert out.startswith(
        "::error title=SW601 yield-without-finally,file=shop/db.py,line=6,col=5::"
    )


def test_fingerprint_survives_lines_above(command):
    def fingerprint():
        return json.loads(command("--format", "json", ".")[1])["findings"][0]["fingerprint"]

    before = fingerprint()
    Path("shop/db.py").write_text("# a line\n\n" + LEAK)
    assert fingerprint() == before
    Path("shop/db.py").write_text(LEAK.replace("get_db", "get_session"))
    assert fingerprint() != before


def test_reports(command):
    assert command(".", "--report", "out.xml")[0] == 1
    assert ElementTree.parse("out.xml").getroot()[0].get("failures") == "1"
    assert command(".", "--report", "out.md")[0] == 1
    assert "| SW601 yield-without-finally (error) | shop/db.py:6 |" in Path("out.md").read_text()


def test_several_reports_at_once(command):
    status, out, _ = command(
        ".", "--report", "a.sarif", "--report", "b.md", "--report", "github", "--format", "json"
    )
    assert status == 1
    assert json.loads(Path("a.sarif").read_text())["runs"][0]["results"]
    assert "SW601" in Path("b.md").read_text()
    assert "::error title=SW601" in out
    assert command(".", "--report", "c.md", "--report", "c.txt")[0] == 2
    assert not Path("c.md").exists()


def test_settings(command):
    Path("pyproject.toml").write_text('[tool.sessionwatch]\nignore = ["SW601"]\n')
    assert command(".")[0] == 0
    assert command(".", "--ignore", "SW602")[0] == 1
    Path("pyproject.toml").write_text('[tool.sessionwatch]\nexclude = ["shop"]\n')
    assert command(".")[0] == 0
    Path("pyproject.toml").write_text("")
    assert command(".", "--select", "SW602,SW603")[0] == 0
    assert command(".", "--exclude", "shop/*")[0] == 0


def test_folder_without_python_files(command):
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("nothing")
    told = "sessionwatch: no Python file to check in empty"
    assert command("empty") == (2, "", f"{told}: name the folders that have some\n")
    assert command("empty", "--format", "json")[:2] == (2, "")
    assert command("shop", "--exclude", "db.py")[0] == 2
    assert command("clean.py", "empty") == (0, "no findings in 1 file\n", f"{told}\n")
    assert command(".", "shop", "clean.py")[2] == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere",), "there is no nowhere: name files or folders"),
        (("",), "there is no '': name files or folders"),
        (("a" * 5000,), "name files or folders"),
        ((os.devnull,), f"there is no {os.devnull}: name files or folders"),
        ((".", "--select", "SW6000"), "unknown code 'SW6000'"),
        ((".", "--select", "SW6000"), "(option --select)"),
        ((".", "--ignore", "SW601,SW6000"), "(option --ignore)"),
        ((".", "--fastapi", "new"), "'new' is no version: write one such as 0.121"),
        ((".", "--report", "out.txt"), "neither 'github' nor a file in .json, .sarif"),
    ],
)
def test_mistakes_are_told_in_one_line(command, arguments, told):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_file_that_does_not_parse(command):
    Path("shop/bad.py").write_text("def broken(:\n")
    status, out, _ = command(".")
    assert status == 1
    assert "shop/bad.py: does not parse: invalid syntax at line 1" in out
    assert f"at line 1 (Python {sys.version_info[0]}.{sys.version_info[1]})" in out
    assert "1 finding in 3 files, 1 not checked" in out
    Path("shop/db.py").unlink()
    assert command(".")[0] == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and links")
def test_what_is_no_file_is_passed_over(command):
    os.mkfifo("shop/pipe.py")
    Path("shop/gone.py").symlink_to("nowhere.py")
    Path("shop/circle.py").symlink_to("circle.py")
    Path("shop/again").symlink_to("../shop")
    Path("shop/folder.py").mkdir()
    status, out, err = command(".", "shop", "shop/db.py", "shop/again/db.py")
    assert (status, out.splitlines()[-1], err) == (1, "1 finding in 2 files", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_link_that_leads_out_of_the_folder(command):
    Path("other").mkdir()
    Path("other/linked.py").symlink_to("../shop/db.py")
    status, out, err = command("other")
    assert (status, out.splitlines()[-1], err) == (1, "1 finding in 1 file", "")


def test_folder_that_can_not_be_read_is_told(command, monkeypatch):
    def scandir(folder, scan=os.scandir):
        if Path(folder).name == "shop":
            raise PermissionError(13, "Permission denied", os.fspath(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    status, out, _ = command(".")
    assert (status, out.splitlines()) == (
        1,
        ["shop: can't be read: Permission denied", "no findings in 1 file, 1 not checked"],
    )


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text there")
def test_name_that_is_no_text(command):
    """Also where the output takes nothing but text, as in most languages."""
    Path("shop/db.py").rename(os.fsdecode(b"shop/\xff.py"))
    for form in ("json", "sarif", "github"):
        status, out, _ = command(".", "--format", form)
        assert (status, "shop/%3F.py" in out or "shop/?.py" in out) == (1, True)
    for name in ("out.json", "out.sarif", "out.xml", "out.md"):
        assert command("shop", "--format", "json", "--report", name)[0] == 1
    change = unified_diff(os.fsdecode(b"\xff.py"), b"one", b"two\n")
    assert change.startswith(b"--- a/\xff.py\n+++ b/\xff.py\n@@ ")
    command(".", "--fix")
    assert command(".")[0] == 0


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_git_takes_the_diff(command, encoding, ends):
    pytest.importorskip("libcst")
    text = f"# coding: {encoding.removesuffix('-sig')}\n{LEAK}\n\x0cX = 'é'\n   \n"
    Path("shop/db.py").write_bytes(text.replace("\n", ends).encode(encoding))
    before = Path("shop/db.py").read_bytes()
    printed = subprocess.run(
        [sys.executable, "-m", "sessionwatch", "lint", ".", "--diff"], stdout=subprocess.PIPE
    )
    assert printed.returncode == 1
    git = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn"]
    subprocess.run(git, input=printed.stdout, check=True)
    applied = Path("shop/db.py").read_bytes()
    Path("shop/db.py").write_bytes(before)
    command(".", "--fix")
    assert Path("shop/db.py").read_bytes() == applied != before


def test_diff_and_fix_at_once_change_nothing(command):
    before = Path("shop/db.py").read_bytes()
    status, out, err = command(".", "--diff", "--fix")
    assert (status, out) == (2, "")
    assert err == "sessionwatch: --diff shows the changes and --fix makes them: give one\n"
    assert Path("shop/db.py").read_bytes() == before


def test_diff_and_fix(command):
    pytest.importorskip("libcst")
    status, out, _ = command(".", "--diff")
    assert status == 1
    assert out.startswith("--- a/shop/db.py\n+++ b/shop/db.py\n@@ -3,5 +3,7 @@\n")
    assert "+    finally:\n+        db.close()\n" in out
    assert Path("shop/db.py").read_text() == LEAK
    assert command(".", "--fix") == (0, "fixed 1 in shop/db.py\n", "")
    assert command(".")[0] == 0


@pytest.mark.parametrize("option", ["--diff", "--fix"])
def test_nothing_to_fix_is_told(command, option):
    pytest.importorskip("libcst")
    assert command("clean.py", option) == (
        0,
        "",
        "sessionwatch: no findings in 1 file: nothing to fix\n",
    )


def test_what_is_left_is_told_where_it_stands_then(command):
    pytest.importorskip("libcst")
    Path("shop/db.py").write_text(LEAK + "\n\ndef make_db():\n    return Session()\n" + USE)
    told = "sessionwatch: 1 left for which there is no mechanical fix"
    status, _, err = command(".", "--diff")
    assert (status, err) == (1, f"{told}: leave --diff out to see them\n")
    status, out, err = command(".", "--fix", "--report", "left.json")
    assert (status, err) == (1, f"{told}\n")
    fixed, first, source, fix = out.splitlines()
    assert fixed == "fixed 1 in shop/db.py"
    assert first.startswith("shop/db.py:13:5: SW602 return session: ")
    assert source == "    return Session()"
    assert fix.startswith("    fix: ")
    (left,) = json.loads(Path("left.json").read_text())["findings"]
    assert (left["code"], left["line"]) == ("SW602", 13)


def test_fix_without_libcst(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "libcst", None)
    monkeypatch.delitem(sys.modules, "sessionwatch.lint.fixes", raising=False)
    status, _, err = command(".", "--fix")
    assert status == 2
    assert err == "sessionwatch: --diff and --fix need libcst: pip install 'sessionwatch[fix]'\n"


def test_explain(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explain", "SW606"])
    assert ended.value.code == 0
    assert "late-commit" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["fastapi", "sqlalchemy", "sqlmodel"])
def test_nothing_is_found_in_what_is_installed(command, package):
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    status, out, _ = command(str(Path(spec.origin).parent))
    assert (status, out.partition(" in ")[0]) == (0, "no findings")


MODULE = '''\
"""Routes of {number}."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.database import get_db
from shop.models import Model{number}

router = APIRouter()
Database = Annotated[Session, Depends(get_db)]
'''
ROUTE = '''

@router.get("/things{number}/{{key}}")
def read_{number}(key: int, db: Database, limit: int = 10) -> dict[str, object]:
    """Return one thing and those beside it."""
    thing = db.get(Model, key)
    if thing is None:
        raise HTTPException(404, detail=f"there is no thing {{key}}")
    others = db.scalars(select(Model).where(Model.id != key).limit(limit)).all()
    names = [other.name for other in others if other.name is not None]
    total = sum(other.amount for other in others)
    return {{"id": thing.id, "others": names, "total": total, "count": len(others)}}
'''


def test_a_thousand_files_take_less_than_five_seconds_of_one_core(command):
    """Each is a module of routes, of a hundred lines and more."""
    folder = Path("project/shop")
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "database.py").write_text(
        "from sqlalchemy.orm import sessionmaker\nSessionLocal = sessionmaker()\n"
        "def get_db():\n    with SessionLocal() as db:\n        yield db\n"
    )
    routes = "".join(ROUTE.format(number=number) for number in range(8))
    for number in range(998):
        text = MODULE.format(number=number) + routes
        (folder / f"routes_{number}.py").write_text(text)
    began = time.process_time()
    status, out, _ = command("project")
    seconds = time.process_time() - began
    assert (status, out) == (0, "no findings in 1000 files\n")
    assert seconds < 5, f"{seconds:.1f} s"
