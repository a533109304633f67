"""A call when a module has been imported, by whomever."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec

import pytest

from sessionwatch.instruments.when_imported import WhenImported


@pytest.fixture
def module(tmp_path, monkeypatch):
    name = "imported_at_some_time"
    (tmp_path / f"{name}.py").write_text("import sys\nhalf_done = __name__ in sys.modules\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def calls(module):
    seen = []
    waiting = WhenImported(module, lambda: seen.append(sys.modules[module].half_done))
    waiting.wait()
    yield seen
    waiting.stop()
    assert waiting not in sys.meta_path


def test_once_when_the_import_is_done(module, calls):
    assert calls == []
    importlib.import_module(module)
    importlib.reload(sys.modules[module])
    assert calls == [True]


def test_whoever_asks_whether_it_is_there_imports_nothing(module, calls):
    assert find_spec(module) is not None
    assert calls == []
    importlib.import_module(module)
    assert calls == [True]


def test_at_once_if_it_is_there(module):
    importlib.import_module(module)
    seen = []
    WhenImported(module, lambda: seen.append(1)).wait()
    assert seen == [1]


def test_not_when_nobody_waits_any_more(module, calls):
    waiting = next(finder for finder in sys.meta_path if isinstance(finder, WhenImported))
    waiting.stop()
    importlib.import_module(module)
    assert calls == []


def test_an_import_that_fails_is_no_import(tmp_path, module, calls):
    (tmp_path / f"{module}.py").write_text("raise ImportError('not today')")
    with pytest.raises(ImportError, match="not today"):
        importlib.import_module(module)
    assert calls == []
