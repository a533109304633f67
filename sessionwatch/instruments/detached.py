"""Errors about detached instances that leave a request or job, as such or wrapped in others."""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from sqlalchemy.orm.exc import DetachedInstanceError

from sessionwatch import records
from sessionwatch.instruments.attribution import guarded
from sessionwatch.instruments.endpoints import Scope, endpoint_code
from sessionwatch.records.code_origin import CodeOrigin, origin_of
from sessionwatch.records.owner import Owner
from sessionwatch.records.stack import RawFrame, Stack

_MARK = "_sessionwatch"
_ERRORS_LOOKED_AT = 32
_FIELDS_LOOKED_AT = 32
_FRAMES_WALKED = 512
_FRAMES_KEPT = 64
_NAME = DetachedInstanceError.__name__
_INSTANCE = r"nstance <(\w+) at 0x"
_ATTRIBUTE = r"load operation of attribute '(\w+)'"


@guarded
def error_left(owner: Owner, error: BaseException, scope: Scope | None) -> None:
    """Note the error that leaves an owner, and tell of it if it is about a detached instance.

    It is told once, at the innermost owner of a watch; the error itself carries the mark.
    """
    owner.note_failure(error)
    for each in islice(_errors(error), _ERRORS_LOOKED_AT):
        text = _detached(each)
        if text is None:
            continue
        told = each.__dict__.get(_MARK)
        if told is not None and told() is owner.recorder:
            return
        each.__dict__[_MARK] = weakref.ref(owner.recorder)
        owner.recorder.incident(
            records.incident.DetachedAccess(
                owner,
                _place(each, scope),
                model=_first(_INSTANCE, text),
                attribute=_first(_ATTRIBUTE, text),
                wrapped_in=None
                if isinstance(error, DetachedInstanceError)
                else type(error).__name__,
            )
        )
        return


def _errors(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from or holds, the nearest first, each once."""
    waiting, known = [error], [error]
    while waiting:
        each = waiting.pop(0)
        yield each
        context = None if each.__suppress_context__ else each.__context__
        held = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        for other in (each.__cause__, context, *held[:_ERRORS_LOOKED_AT]):
            if other is not None and not any(other is one for one in known):
                known.append(other)
                waiting.append(other)


def _detached(error: BaseException) -> str | None:
    """Return what an error says of a detached instance, if it does."""
    if isinstance(error, DetachedInstanceError):
        return str(error.args[0]) if error.args else ""
    for field in islice(_fields(error), _FIELDS_LOOKED_AT):
        if field.get("type") == "get_attribute_error":
            text = str(field.get("ctx", {}).get("error", ""))
            if text.startswith(_NAME):
                return text
    return None


def _fields(error: BaseException) -> Iterator[dict[str, Any]]:
    """Yield what a response or a model was refused for.

    pydantic keeps the text alone of what an attribute raised, as `get_attribute_error`, and
    FastAPI passes it on (`ResponseValidationError` in fastapi/exceptions.py, 0.115 to 0.165).
    """
    pydantic = sys.modules.get("pydantic_core")
    if pydantic is not None and isinstance(error, pydantic.ValidationError):
        yield from error.errors(include_url=False, include_input=False)
    elif _is_response_refused(error):
        yield from error.errors()  # type: ignore[attr-defined]


def _is_response_refused(error: BaseException) -> bool:
    exceptions = sys.modules.get("fastapi.exceptions")
    return exceptions is not None and isinstance(error, exceptions.ResponseValidationError)


def _place(error: BaseException, scope: Scope | None) -> Stack:
    """Return the frames of the access; FastAPI reads a response when the handler has returned."""
    endpoint = endpoint_code(scope) if scope is not None else None
    if endpoint is not None and _is_response_refused(error):
        return Stack(((endpoint, 0),))
    return Stack(tuple(_frames(error.__traceback__))[-_FRAMES_KEPT:][::-1])


def _frames(traceback: TracebackType | None) -> Iterator[RawFrame]:
    """Yield the frames that an error went through, the outermost first, without machinery."""
    for _ in range(_FRAMES_WALKED):
        if traceback is None:
            return
        code = traceback.tb_frame.f_code
        if origin_of(code.co_filename) in (CodeOrigin.APPLICATION, CodeOrigin.LIBRARY):
            yield code, traceback.tb_lasti
        traceback = traceback.tb_next


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found is not None else None
