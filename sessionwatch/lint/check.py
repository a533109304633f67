"""The static check: which files, which rules, and what is left when ignores are taken away."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sessionwatch.lint.catalog import LINT_RULES
from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.ignores import Ignore, ignores_of
from sessionwatch.lint.project import Project
from sessionwatch.lint.reading import UnreadableError, read
from sessionwatch.lint.source import Module

_NEVER = {"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"}


@dataclass(slots=True)
class Result:
    """What the check has found."""

    findings: list[LintFinding] = field(default_factory=list)
    """By file and line."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Files that could not be checked, each with the reason."""
    unused: list[tuple[Ignore, list[str]]] = field(default_factory=list)
    """Comments that ignore what is not there, with the codes."""
    files: int = 0
    empty: list[str] = field(default_factory=list)
    """What was to be checked and has no file to check."""


def check(
    paths: Sequence[str],
    *,
    reports: Callable[[str], bool],
    exclude: Sequence[str] = (),
    fastapi: tuple[int, int] | None = None,
) -> Result:
    """Check files and folders together; `reports` tells which codes are looked for.

    `exclude` has patterns of paths or names that are left out of folders; `fastapi` is the version
    that the code will run with, or None if it is not known. Raises `FileNotFoundError` for a path
    that there is not.
    """
    result = Result()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in other people's strings
        modules = list(_read_all(_files(paths, exclude, result), result))
    return _judge(modules, fastapi, reports, result)


def _read_all(files: Iterator[tuple[Path, str]], result: Result) -> Iterator[Module]:
    for file, name in files:
        result.files += 1
        try:
            yield read(file, name)
        except UnreadableError as error:
            result.unreadable.append((str(file), str(error)))


def _judge(
    modules: list[Module],
    fastapi: tuple[int, int] | None,
    reports: Callable[[str], bool],
    result: Result,
) -> Result:
    subject = Subject.of(Project(modules, fastapi))
    looked_for = frozenset(code for code in LINT_RULES if reports(code))
    found = [each for code in sorted(looked_for) for each in LINT_RULES[code](subject)]
    ignores = {module.path: ignores_of(module) for module in modules}
    result.findings = [each for each in found if not _is_ignored(each, ignores)]
    result.findings.sort(key=lambda each: (each.module.path, each.line, each.rule.code))
    for comments in ignores.values():
        for comment in comments:
            unused = comment.unused(LINT_RULES, looked_for)
            if unused:
                result.unused.append((comment, unused))
    return result


def installed_fastapi() -> tuple[int, int] | None:
    """Return the major and minor version of the FastAPI beside us, if there is one."""
    try:
        return parse_version(version("fastapi"))
    except (PackageNotFoundError, ValueError):
        return None


def parse_version(text: str) -> tuple[int, int]:
    """Return (0, 118) for "0.118" or "0.118.2"; raise `ValueError` for anything else."""
    major, _, rest = text.strip().partition(".")
    return int(major), int(rest.partition(".")[0])


def _is_ignored(finding: LintFinding, ignores: dict[str, list[Ignore]]) -> bool:
    lines = {finding.line, getattr(finding.node, "end_lineno", None) or finding.line}
    if isinstance(finding.node, ast.For | ast.AsyncFor | ast.ExceptHandler):
        lines = {finding.line}
    covering = [
        each
        for each in ignores[finding.module.path]
        if each.about in lines and each.covers(finding.rule.code)
    ]
    return bool(covering)


def _files(
    paths: Sequence[str], exclude: Sequence[str], result: Result
) -> Iterator[tuple[Path, str]]:
    """Yield each file once, with the name by which others import it."""
    seen: set[Path] = set()
    module_name = _Names().of
    for given in paths:
        path = Path(given)
        is_file = _is_file(path)
        if not given or not (is_file or _is_folder(path)):
            raise FileNotFoundError(given or "''")
        root = (path.parent if is_file else path).resolve()
        is_empty = True
        for file in [path] if is_file else _below(path, exclude, result):
            is_empty = False
            resolved = file.resolve()
            if resolved not in seen:
                seen.add(resolved)
                yield file, module_name(resolved, root)
        if is_empty:
            result.empty.append(given)


def _is_file(path: Path) -> bool:
    """Whether it is one, and no pipe or device, nor a link that leads to none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _below(folder: Path, exclude: Sequence[str], result: Result) -> Iterator[Path]:
    def note(error: OSError) -> None:
        where = str(Path(error.filename))
        result.unreadable.append((where, f"can't be read: {error.strerror}"))

    for root, folders, files in os.walk(folder, onerror=note):
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _NEVER
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
            and not _is_excluded(here / name, folder, exclude)
        )
        for name in sorted(files):
            is_source = name.endswith((".py", ".pyi")) and _is_file(here / name)
            if is_source and not _is_excluded(here / name, folder, exclude):
                yield here / name


def _is_excluded(path: Path, folder: Path, exclude: Sequence[str]) -> bool:
    spellings = {path.name, path.as_posix(), path.relative_to(folder).as_posix()}
    return any(
        fnmatchcase(spelling, pattern.rstrip("/")) for spelling in spellings for pattern in exclude
    )


class _Names:
    """The names that files are imported by, as far as their packages tell."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, Path], list[str]] = {}

    def of(self, file: Path, root: Path) -> str:
        """Return the name of a file below a root, both without links in them."""
        folder = file.parent
        if (folder, root) not in self._known:
            self._known[folder, root] = _package(folder, root)
        parts = [] if file.stem == "__init__" else [file.stem]
        return ".".join([*self._known[folder, root], *parts])


def _package(folder: Path, root: Path) -> list[str]:
    parts: list[str] = []
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts:
        return parts
    below = list(folder.relative_to(root).parts) if folder.is_relative_to(root) else []
    return below[1:] if below[:1] == ["src"] else below
