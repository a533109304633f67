"""Changes that are mechanical: `try`/`finally`, `Depends`, `scope="function"`.

The rest of a file stays byte for byte as it was.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from sessionwatch.lint.finding import LintFinding

_WITH_SCOPES = (0, 121)
_Position = tuple[int, int]


@dataclass(slots=True)
class Change:
    """What becomes of one file."""

    path: str
    before: bytes
    after: bytes
    findings: list[LintFinding]
    """Those that are no longer there."""

    def write(self) -> None:
        """Write the file; raises `OSError`."""
        Path(self.path).write_bytes(self.after)


def fixed(
    findings: Iterable[LintFinding], fastapi: tuple[int, int] | None = None
) -> Iterator[Change]:
    """Yield a change for each file in which something can be fixed.

    A scope is written only for a FastAPI that knows of it, or that nobody named.
    """
    with_scope = fastapi is None or fastapi >= _WITH_SCOPES
    by_path: dict[str, list[LintFinding]] = {}
    for finding in findings:
        if finding.is_fixable and (with_scope or finding.rule.code != "SW606"):
            by_path.setdefault(finding.module.path, []).append(finding)
    for path, each in by_path.items():
        change = _change(path, each, with_scope=with_scope)
        if change is not None:
            yield change


def _change(path: str, findings: Sequence[LintFinding], *, with_scope: bool) -> Change | None:
    raw = Path(path).read_bytes()
    try:
        before = cst.parse_module(raw)
    except (cst.ParserSyntaxError, RecursionError):
        return None  # it takes less than Python does
    wanted = {_position(each): each for each in findings}
    depends = _name_of_depends(findings[0].module.tree)
    fixer = _Fixer(wanted, depends or "Depends", with_scope=with_scope)
    after = MetadataWrapper(before).visit(fixer)
    if fixer.needs_depends and depends is None:
        context = CodemodContext()
        AddImportsVisitor.add_needed_import(context, "fastapi", "Depends")
        after = AddImportsVisitor(context).transform_module(after)
    done = [each for position, each in wanted.items() if position in fixer.done]
    changed = _carried_over(raw, before.bytes, after.bytes) if done else None
    return None if changed is None else Change(path, raw, changed, done)


def _carried_over(raw: bytes, before: bytes, after: bytes) -> bytes | None:
    """Make the changes between two texts in the file itself, of which libcst drops some things.

    Those are form feeds, and what is white at the end. None where more is missing.
    """
    if raw.endswith(b"\r") and not before.endswith(b"\r"):
        before, after = before + b"\r", after + b"\r"
    lines, old, new = (_lines(each) for each in (raw, before, after))
    if len(lines) < len(old) or any(map(_is_other, lines, old)):
        return None
    if len(lines) > len(old) and old and not old[-1].endswith((b"\n", b"\r")):
        return None
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, end, new_start, new_end in reversed(matcher.get_opcodes()):
        if kind != "equal":
            lines[start:end] = new[new_start:new_end]
    return b"".join(lines)


def _lines(text: bytes) -> list[bytes]:
    """Return the lines with their ends; of bytes nothing else is taken for one."""
    return text.splitlines(keepends=True)


def _is_other(line: bytes, other: bytes) -> bool:
    return line.replace(b"\f", b"").rstrip() != other.replace(b"\f", b"").rstrip()


def _position(finding: LintFinding) -> _Position:
    """Return the line and the column, in characters, where `ast` counts bytes."""
    line = finding.module.line(finding.line)
    before = line.encode()[: finding.column - 1].decode(errors="replace")
    return finding.line, len(before.replace("\f", ""))


def _name_of_depends(tree: ast.Module) -> str | None:
    """Return what `Depends` is called in a module, if it is imported at the top."""
    for node in tree.body:
        for each in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if isinstance(node, ast.Import) and each.name == "fastapi":
                return f"{each.asname or each.name}.Depends"
            if getattr(node, "module", None) == "fastapi" and each.name == "Depends":
                return each.asname or each.name
    return None


class _Fixer(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(
        self, wanted: dict[_Position, LintFinding], depends: str, *, with_scope: bool
    ) -> None:
        super().__init__()
        self._wanted = wanted
        self._depends = depends
        self._with_scope = with_scope
        self.done: set[_Position] = set()
        self.needs_depends = False

    def _code_at(self, node: cst.CSTNode) -> tuple[_Position, str | None]:
        start = self.get_metadata(PositionProvider, node).start
        position = (start.line, start.column)
        found = self._wanted.get(position)
        return position, None if found is None else found.rule.code

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        position, code = self._code_at(original_node)
        if code == "SW606":
            self.done.add(position)
            return _with_scope(updated_node)
        if code == "SW603" and isinstance(updated_node.func, cst.Name) and _is_empty(updated_node):
            self.done.add(position)
            return updated_node
        return updated_node

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:
        if original_node.default is None:
            return updated_node
        position, code = self._code_at(original_node.default)
        if code != "SW603" or position not in self.done:
            return updated_node
        called = updated_node.default
        assert isinstance(called, cst.Call)
        self.needs_depends = True
        injected = cst.Call(cst.parse_expression(self._depends), [cst.Arg(called.func)])
        is_late = self._with_scope and self._wanted[position].is_late
        default = _with_scope(injected) if is_late else injected
        return updated_node.with_changes(default=default)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        position, code = self._code_at(original_node.value)
        if code == "SW603" and position in self.done and isinstance(updated_node.value, cst.Call):
            return updated_node.with_changes(value=updated_node.value.func)
        return updated_node

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        positions = [self._code_at(each) for each in original_node.body.body]
        here = [position for position, code in positions if code in ("SW601", "SW605")]
        if not here or not isinstance(updated_node.body, cst.IndentedBlock):
            return updated_node
        body = _guarded(updated_node.body, updated_node.asynchronous is not None)
        if body is None:
            return updated_node
        self.done.update(here)
        return updated_node.with_changes(body=body)


def _is_empty(node: cst.Call) -> bool:
    """Whether nothing stands in the brackets, not even a comment."""
    return not node.args and isinstance(node.whitespace_before_args, cst.SimpleWhitespace)


def _with_scope(node: cst.Call) -> cst.Call:
    """Return the call with the scope behind its last argument, and what stood there behind it."""
    last = node.args[-1]
    none = cst.SimpleWhitespace("")
    scope = cst.Arg(
        cst.SimpleString('"function"'),
        keyword=cst.Name("scope"),
        equal=cst.AssignEqual(whitespace_before=none, whitespace_after=none),
        comma=last.comma,
        whitespace_after_arg=last.whitespace_after_arg,
    )
    kept = [each for each in node.args if each.keyword is None or each.keyword.value != "scope"]
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    kept[-1:] = [each.with_changes(comma=comma, whitespace_after_arg=none) for each in kept[-1:]]
    return node.with_changes(args=[*kept, scope])


def _guarded(block: cst.IndentedBlock, is_async: bool) -> cst.IndentedBlock | None:
    """Return a function's body with those from the `yield` on in a `try`.

    None where that is more than mechanical: the `yield` stands in a block, what follows is not a
    row of simple statements, or nothing says how an async session is closed.
    """
    body: list[Any] = list(block.body)
    at = next((i for i, each in enumerate(body) if _yielded(each) is not None), None)
    if at is None:
        return None
    session = _yielded(body[at])
    after = body[at + 1 :]
    if session is None or not all(isinstance(each, cst.SimpleStatementLine) for each in after):
        return None
    closing = [each for each in after if _calls(each, session, "close")]
    commit = next((each for each in after if _calls(each, session, "commit")), None)
    if is_async and not closing and commit is None:
        return None
    pattern = closing[0] if closing else commit
    awaited = is_async and pattern is not None and _is_awaited(pattern)
    rest = [each for each in after if each not in closing]
    inner = partial(cst.IndentedBlock, indent=block.indent)
    tried = [body[at].with_changes(leading_lines=[]), *rest]
    handlers = []
    if commit is not None:
        undo = [_call(session, "rollback", awaited), cst.SimpleStatementLine([cst.Raise()])]
        handlers = [cst.ExceptHandler(inner(undo), cst.Name("BaseException"))]
    last = closing or [_call(session, "close", awaited)]
    guarded = cst.Try(
        body=inner(tried),
        handlers=handlers,
        finalbody=cst.Finally(inner(last)),
        leading_lines=body[at].leading_lines,
    )
    return block.with_changes(body=[*body[:at], guarded])


def _yielded(node: Any) -> str | None:
    """Return the variable of a statement that is `yield variable`."""
    value = _expression(node)
    if isinstance(value, cst.Yield) and isinstance(value.value, cst.Name):
        return value.value.value
    return None


def _calls(node: Any, session: str, method: str) -> bool:
    value = _expression(node)
    value = value.expression if isinstance(value, cst.Await) else value
    return (
        isinstance(value, cst.Call)
        and isinstance(value.func, cst.Attribute)
        and value.func.attr.value == method
        and isinstance(value.func.value, cst.Name)
        and value.func.value.value == session
    )


def _is_awaited(node: Any) -> bool:
    return isinstance(_expression(node), cst.Await)


def _expression(node: Any) -> cst.BaseExpression | None:
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        only = node.body[0]
        return only.value if isinstance(only, cst.Expr) else None
    return None


def _call(session: str, method: str, awaited: bool) -> cst.SimpleStatementLine:
    call: cst.BaseExpression = cst.Call(cst.Attribute(cst.Name(session), cst.Name(method)))
    return cst.SimpleStatementLine([cst.Expr(cst.Await(call) if awaited else call)])
