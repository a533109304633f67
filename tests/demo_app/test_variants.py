"""Each variant is shown as it runs, and the line at fault is a line of it."""

import gc
import inspect
from contextlib import contextmanager
from dataclasses import replace

import pytest

from demo_app.application import create_variant_app
from demo_app.async_variants import ASYNC_VARIANTS
from demo_app.variants import VARIANTS, find_variant

WITHOUT_FAULT = ("response-commit", "recommended")
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
        "with-session",
        "http-middleware",
        "middleware-commit",
        "scoped-session",
        "response-commit",
        "decorator",
        "recommended",
    ]


class Calls(list):
    """Stands in for a session factory, a session and a transaction, and notes every call."""

    def __call__(self, **options: object) -> "Calls":
        self.append("open")
        return self

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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


def shown(variant):
    """The variant as it is when what is shown of it is all there is."""

    def build(calls):
        namespace = {**inspect.getmodule(variant.build).__dict__, "SessionLocal": calls}
        exec(compile(variant.source, "shown", "exec"), namespace)
        return variant.wire(calls)._replace(
            **{
                role: namespace[part.__name__]
                for role, part in variant.wire(calls)._asdict().items()
                if part is not None
            }
        )

    return replace(variant, build=build)


# BaseHTTPMiddleware of Starlette 0.38 leaves a stream of its own open when the handler fails.
@pytest.mark.filterwarnings("ignore:Unclosed <MemoryObjectReceiveStream:ResourceWarning")
# The first does not touch its session, the second fails.
@pytest.mark.parametrize(("method", "path"), [("GET", "/items/"), ("POST", "/orders/unhandled")])
@pytest.mark.parametrize("variant", VARIANTS, ids=names)
def test_what_is_shown_does_what_is_built(variant, method, path, call):
    def calls_of(variant):
        calls = Calls()
        call(create_variant_app(variant, calls), path, method, json={"reference": "r-1"})
        return list(calls)

    assert calls_of(shown(variant)) == calls_of(variant) != []
    gc.collect()


def in_common(source: str) -> str:
    """What of a source is the same for a Session and for an AsyncSession."""
    lines = [line for line in source.splitlines() if line and "import" not in line]
    text = "\n".join(lines)
    for word in ("await ", "async ", "async_", "Async"):
        text = text.replace(word, "")
    return text


@pytest.mark.parametrize("variant", ASYNC_VARIANTS, ids=names)
def test_the_async_twin_is_the_sync_one_awaited(variant):
    assert in_common(variant.source) == in_common(find_variant(variant.key).source)


@pytest.mark.parametrize("variant", BOTH, ids=names)
def test_the_line_at_fault(variant):
    if variant.key in WITHOUT_FAULT:
        assert variant.fault is None
        return
    line = variant.source.splitlines()[variant.fault - 1].strip()
    assert line == variant.faulty_line
    assert variant.fault_reason.endswith(".")


@pytest.mark.parametrize("variant", BOTH, ids=names)
def test_it_can_be_shown_on_eighty_columns(variant):
    """Beside the heading's bar, and beside the numbers of the lines."""
    assert len(f"{variant.key}: {variant.title}") <= 76
    assert max(map(len, variant.source.splitlines())) <= 72


def test_an_unknown_key():
    with pytest.raises(KeyError):
        find_variant("nonsense")
    assert find_variant("full", is_async=True).is_async
