"""Packages whose modules are imported when somebody asks for them."""

import importlib
import sys

import pytest

from sessionwatch import outlets, rules


def test_a_module_is_an_attribute():
    assert rules.sw101 is importlib.import_module("sessionwatch.rules.sw101")
    assert outlets.plain is importlib.import_module("sessionwatch.outlets.plain")


def test_what_is_none_is_no_attribute():
    assert not hasattr(rules, "sw999")
    with pytest.raises(AttributeError, match="has no attribute 'sw999'"):
        rules.sw999  # noqa: B018


def test_a_module_that_fails_says_why(tmp_path, monkeypatch):
    package = tmp_path / "lazy_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from sessionwatch.submodules import imported_on_demand\n"
        "__getattr__ = imported_on_demand(__name__)\n"
    )
    (package / "broken.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    lazy_package = importlib.import_module("lazy_package")
    try:
        with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
            lazy_package.broken  # noqa: B018
    finally:
        del sys.modules["lazy_package"]
