"""What is to be done about a module as soon as somebody imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class WhenImported(MetaPathFinder):
    """Calls `then` once: at once if the module is there, or when its import is done."""

    def __init__(self, module: str, then: Callable[[], None]) -> None:
        self._module = module
        self._then = then
        self._asks_others = False

    def wait(self) -> None:
        """Begin to look out for the import."""
        if self._module in sys.modules:
            self._then()
        else:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Look out for it no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Leave every import to the other finders, and put the call behind that of the module.

        Who asks whether the module is there gets as far as this, too, and imports nothing.
        """
        if fullname != self._module or self._asks_others:
            return None
        self._asks_others = True
        try:
            spec = find_spec(fullname)
        finally:
            self._asks_others = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    self.stop()
                    self._then()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
