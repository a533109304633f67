"""Imports what the user named on the command line, and tells in the user's terms what is wrong."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from sessionwatch.records.code_origin import CodeOrigin
from sessionwatch.records.stack import Frame, RawFrame, Stack, display_path

from .errors import LabError, first_line
from .guard import ElsewhereError

_ALIKE = 0.7
"""From which likeness on a name is suggested; 1 is the same."""


def look_here() -> None:
    """Have modules found in the working directory, as uvicorn does for `module:app`."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def load_object(name: str, option: str) -> Any:
    """Return what `package.module:attribute` names; raise LabError that names `option` if none."""
    module_name, attributes = _split(name, option)
    found: Any = _import(module_name, option)
    for attribute in attributes:
        if not hasattr(found, attribute):
            raise LabError(f"{option}: {_say_missing(found, module_name, attribute)}")
        found = getattr(found, attribute)
    return found


def tell(error: BaseException, name: str) -> str:
    """Return an exception in one line, after the innermost place in the user's code it came by.

    `name` is what the user named: its package is the user's code wherever it is installed.
    """
    what = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {_words(error)}"
    frame = _place(error, re.split(r"\W", name)[0])
    return f"{frame}: {what}" if frame else what


def _split(name: str, option: str) -> tuple[str, list[str]]:
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    if colon and all(part.isidentifier() for part in parts):
        return module, attribute.split(".")
    example = "app.database:SessionLocal" if option == "--sessionmaker" else "app.database:get_db"
    raise LabError(
        f"{option}: {name!r} names nothing that can be imported: write it as "
        f"package.module:name, like {example}"
    )


def _import(name: str, option: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise LabError(f"{option}: importing {name} failed: {tell(error, name)}") from None
        raise LabError(f"{option}: {_say_not_found(error, name)}") from None
    except ElsewhereError as error:
        raise LabError(
            f"{option}: importing {name} failed: {tell(error, name)}: connect inside a function, "
            "not while the module is imported, or name a module that does not"
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module can raise anything
        raise LabError(f"{option}: importing {name} failed: {tell(error, name)}") from None


def _say_not_found(error: ModuleNotFoundError, name: str) -> str:
    package = sys.modules.get(name.partition(".")[0])
    if package is not None:
        return f"{first_line(error)} in {package.__name__}, which is {package.__file__}"
    return (
        f"{first_line(error)} (looked for from {Path.cwd()}): run this in the folder that holds "
        f"{name.partition('.')[0]}, or set PYTHONPATH"
    )


def _say_missing(found: Any, module: str, attribute: str) -> str:
    where = module if isinstance(found, ModuleType) else type(found).__name__
    near = difflib.get_close_matches(attribute, dir(found), n=1, cutoff=_ALIKE)
    hint = f": did you mean {near[0]}?" if near else ""
    return f"{where} has no {attribute!r}{hint}"


def _words(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return _pydantic_words(error) or first_line(error)


def _pydantic_words(error: BaseException) -> str:
    """Say what pydantic missed, without the values that it was given."""
    if type(error).__name__ != "ValidationError" or not callable(getattr(error, "errors", None)):
        return ""
    mistakes = error.errors()  # type: ignore[attr-defined]
    return ", ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in mistakes)


def _place(error: BaseException, package: str) -> Frame | str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{display_path(error.filename)}:{error.lineno}"
    frames = Stack(tuple(_raw_frames(error.__traceback__))[::-1]).frames()
    return next((frame for frame in frames if _is_users(frame, package)), None)


def _is_users(frame: Frame, package: str) -> bool:
    return frame.origin is CodeOrigin.APPLICATION or re.split(r"\W", frame.file)[0] == package


def _raw_frames(step: TracebackType | None) -> Iterator[RawFrame]:
    while step is not None:
        yield step.tb_frame.f_code, step.tb_lasti
        step = step.tb_next
