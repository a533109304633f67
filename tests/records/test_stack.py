"""Stacks: raw until they are read, and then with a line for each frame."""

from __future__ import annotations

import sys
from pathlib import Path

from sessionwatch.records.stack import NO_STACK, Stack


def _here():
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti, frame.f_lineno


def test_frame_has_the_line_that_the_interpreter_names():
    code, instruction, line = _here()
    (frame,) = Stack(((code, instruction),)).frames()
    assert (frame.line, frame.function) == (
        line,
        "test_frame_has_the_line_that_the_interpreter_names",
    )
    assert str(frame) == f"{frame.file}:{line} in {frame.function}"


def test_line_of_a_statement_over_several_lines():
    code, instruction, line = _here()
    (frame,) = Stack(((code, instruction),)).frames()
    assert frame.line == line


def test_file_is_shown_from_the_working_directory_on(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    code = compile("pass", str(Path(__file__).parent / "folder" / "module.py"), "exec")
    (frame,) = Stack(((code, 0),)).frames()
    assert frame.file == str(Path("folder") / "module.py")


def test_file_elsewhere_is_shown_whole():
    code = compile("pass", "/somewhere/else/module.py", "exec")
    (frame,) = Stack(((code, 0),)).frames()
    assert frame.file == "/somewhere/else/module.py"


def test_same_function_in_two_files_is_told_apart():
    """Python holds two code objects to be equal that differ in their file alone."""
    files = ["/srv/one/db.py", "/srv/two/db.py"]
    codes = [compile("pass", file, "exec") for file in files]
    assert codes[0] == codes[1]
    assert [Stack(((code, 0),)).frames()[0].file for code in codes] == files


def test_no_stack_has_no_place():
    assert NO_STACK.place is None
    assert NO_STACK.frames() == []


def test_records_know_nothing_of_sqlalchemy_or_logging():
    """A record never knows an instrument; DESIGN says so."""
    import sessionwatch.records

    for path in Path(sessionwatch.records.__file__).parent.glob("*.py"):
        source = path.read_text()
        for name in ("sqlalchemy", "logging", "sessionwatch.instruments", "sessionwatch.rules"):
            assert f"import {name}" not in source, path
            assert f"from {name}" not in source, path
