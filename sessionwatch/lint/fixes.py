"""Changes that are mechanical: `try`/`finally`, `Depends`, `scope="function"`.

The rest of a file stays byte for byte as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
    before: str
    after: str
    findings: list[LintFinding]
    """Those that are no longer there."""
    _raw: bytes

    def write(self) -> None:
        """Write the file; raises `OSError`."""
        Path(self.path).write_bytes(self._raw)


def fixed(
    findings: Iterable[LintFinding], fastapi: tuple[int, int] | None = None
) -> Iterator[Change]:
    """Yield a change for each file in which something can be fixed.

    A scope is written only for a FastAPI that knows of it, or that nobody named.
    """
    by_path: dict[str, list[LintFinding]] = {}
    for finding in findings:
        late = finding.rule.code == "SW606"
        if finding.is_fixable and not (late and fastapi is not None and fastapi < _WITH_SCOPES):
            by_path.setdefault(finding.module.path, []).append(finding)
    for path, each in by_path.items():
        change = _change(path, each)
        if change is not None:
            yield change


def _change(path: str, findings: Sequence[LintFinding]) -> Change | None:
    raw = Path(path).read_bytes()
    wrapper = MetadataWrapper(cst.parse_module(raw))
    wanted = {_position(each): each for each in findings}
    fixer = _Fixer({position: each.rule.code for position, each in wanted.items()})
    module = wrapper.visit(fixer)
    if fixer.needs_depends:
        context = CodemodContext()
        AddImportsVisitor.add_needed_import(context, "fastapi", "Depends")
        module = AddImportsVisitor(context).transform_module(module)
    done = [each for position, each in wanted.items() if position in fixer.done]
    if not done:
        return None
    encoding = module.encoding
    return Change(path, raw.decode(encoding), module.bytes.decode(encoding), done, module.bytes)


def _position(finding: LintFinding) -> _Position:
    """Return the line and the column, in characters, where `ast` counts bytes."""
    line = finding.module.line(finding.line)
    return finding.line, len(line.encode()[: finding.column - 1].decode(errors="replace"))


class _Fixer(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, wanted: dict[_Position, str]) -> None:
        super().__init__()
        self._wanted = wanted
        self.done: set[_Position] = set()
        self.needs_depends = False

    def _code_at(self, node: cst.CSTNode) -> tuple[_Position, str | None]:
        start = self.get_metadata(PositionProvider, node).start
        position = (start.line, start.column)
        return position, self._wanted.get(position)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        position, code = self._code_at(original_node)
        if code == "SW606" and _is_named(updated_node, "Depends"):
            self.done.add(position)
            return _with_scope(updated_node)
        if code == "SW603" and not updated_node.args and isinstance(updated_node.func, cst.Name):
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
        injected = cst.Call(cst.Name("Depends"), [cst.Arg(called.func)])
        return updated_node.with_changes(default=injected)

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
        body = _guarded(list(updated_node.body.body), updated_node.asynchronous is not None)
        if body is None:
            return updated_node
        self.done.update(here)
        return updated_node.with_changes(body=updated_node.body.with_changes(body=body))


def _is_named(node: cst.Call, name: str) -> bool:
    called = node.func
    return (isinstance(called, cst.Name) and called.value == name) or (
        isinstance(called, cst.Attribute) and called.attr.value == name
    )


def _with_scope(node: cst.Call) -> cst.Call:
    scope = cst.Arg(
        cst.SimpleString('"function"'),
        keyword=cst.Name("scope"),
        equal=cst.AssignEqual(
            whitespace_before=cst.SimpleWhitespace(""), whitespace_after=cst.SimpleWhitespace("")
        ),
    )
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    kept = [each for each in node.args if each.keyword is None or each.keyword.value != "scope"]
    kept = [
        each if isinstance(each.comma, cst.Comma) else each.with_changes(comma=comma)
        for each in kept
    ]
    return node.with_changes(args=[*kept, scope])


def _guarded(body: list[Any], is_async: bool) -> list[Any] | None:
    """Return a function's statements with those from the `yield` on in a `try`.

    None where that is more than mechanical: the `yield` stands in a block, what follows is not a
    row of simple statements, or nothing says how an async session is closed.
    """
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
    tried = [body[at].with_changes(leading_lines=[]), *rest]
    handlers = []
    if commit is not None:
        undo = [_call(session, "rollback", awaited), cst.SimpleStatementLine([cst.Raise()])]
        handlers = [cst.ExceptHandler(cst.IndentedBlock(undo), cst.Name("BaseException"))]
    last = closing or [_call(session, "close", awaited)]
    guarded = cst.Try(
        body=cst.IndentedBlock(tried),
        handlers=handlers,
        finalbody=cst.Finally(cst.IndentedBlock(last)),
        leading_lines=body[at].leading_lines,
    )
    return [*body[:at], guarded]


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
