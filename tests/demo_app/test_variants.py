"""Each variant is shown as it runs, and the line at fault is a line of it."""

import inspect
from contextlib import contextmanager, suppress

import pytest

from demo_app.async_variants import ASYNC_VARIANTS
from demo_app.variants import VARIANTS, find_variant

BOTH = [*VARIANTS, *ASYNC_VARIANTS]


def names(variant) -> str:
    return f"{variant.key}-{'async' if variant.is_async else 'sync'}"


def test_the_keys_are_those_of_the_quiz_and_the_same_for_both():
    keys = [variant.key for variant in VARIANTS]
    assert keys == [variant.key for variant in ASYNC_VARIANTS]
    assert keys == [
        "no-finally",
        "full",
        "commit-unhandled",
        "close-only",
        "rollback-no-finally",
        "no-yield",
        "begin",
        "recommended",
    ]


class Calls(list):
    """Stands in for a session factory, a session and a transaction, and notes every call."""

    def __call__(self) -> "Calls":
        self.append("open")
        return self

    @contextmanager
    def begin(self):
        self.append("begin")
        yield self
        self.append("end")

    def commit(self) -> None:
        self.append("commit")

    def rollback(self) -> None:
        self.append("rollback")

    def close(self) -> None:
        self.append("close")


def calls_of(make_get_db, error: Exception | None) -> list[str]:
    calls = Calls()
    made = make_get_db(calls)()
    if inspect.isgenerator(made):
        next(made)
        with suppress(StopIteration, ValueError):
            made.throw(error) if error else next(made)
    return list(calls)


@pytest.mark.parametrize("error", [None, ValueError()], ids=["success", "error"])
@pytest.mark.parametrize("variant", VARIANTS, ids=names)
def test_what_is_shown_does_what_is_built(variant, error):
    def shown(calls):
        namespace = {"SessionLocal": calls}
        exec(compile(variant.source, "shown", "exec"), namespace)
        return namespace["get_db"]

    assert calls_of(shown, error) == calls_of(variant.build, error)


@pytest.mark.parametrize("variant", ASYNC_VARIANTS, ids=names)
def test_the_async_twin_is_the_sync_one_awaited(variant):
    awaited = variant.source.replace("await ", "").replace("async ", "").replace("Async", "")
    assert awaited == find_variant(variant.key).source


@pytest.mark.parametrize("variant", BOTH, ids=names)
def test_the_line_at_fault(variant):
    if variant.key == "recommended":
        assert variant.fault is None
        return
    line = variant.source.splitlines()[variant.fault - 1].strip()
    assert line == variant.faulty_line
    assert variant.fault_reason.endswith(".")


def test_an_unknown_key():
    with pytest.raises(KeyError):
        find_variant("nonsense")
    assert find_variant("full", is_async=True).is_async
