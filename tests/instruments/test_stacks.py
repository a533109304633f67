"""Where a session was opened: the application's line, across greenlets, or nothing at all."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sessionwatch import Settings
from sessionwatch.instruments.stacks import CAPTURES, capture_caller, capture_full, capture_nothing

HERE = Path(__file__).name


def _line_of(source_line):
    lines = Path(__file__).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.endswith(source_line)]
    return number


def _open(make_session):
    return make_session()  # opened here


def _open_scoped(registry):
    return registry()  # opened through a registry


def test_opening_place_is_the_line_that_called(seen, make_session):
    session = _open(make_session)
    (shown,) = seen.snapshot.open_sessions
    session.close()
    place = shown["opened_at"]
    assert (Path(place["file"]).name, place["line"], place["function"]) == (
        HERE,
        _line_of("# opened here"),
        "_open",
    )
    assert [frame["function"] for frame in shown["stack"]][:2] == [
        "_open",
        "test_opening_place_is_the_line_that_called",
    ]


def test_opening_place_of_a_session_class(seen, engine):
    session = Session(engine)
    (shown,) = seen.snapshot.open_sessions
    session.close()
    assert shown["opened_at"]["function"] == "test_opening_place_of_a_session_class"


def test_opening_place_of_a_scoped_session(seen, make_session):
    registry = scoped_session(make_session)
    _open_scoped(registry)
    (shown,) = seen.snapshot.open_sessions
    registry.remove()
    assert shown["opened_at"]["line"] == _line_of("# opened through a registry")


def test_opening_place_of_an_async_session(seen, run_async):
    from sqlalchemy.ext.asyncio import async_sessionmaker

    async def opener(make):
        return make()

    async def body(engine):
        session = await opener(async_sessionmaker(engine))
        (shown,) = seen.snapshot.open_sessions
        await session.close()
        return shown

    shown = run_async(body)
    assert [frame["function"] for frame in shown["stack"]][:2] == ["opener", "body"]


def test_place_of_an_async_connection_is_found_across_the_greenlet(watch, seen, run_async):
    async def body(engine):
        with watch.owner("job"):
            connection = await engine.connect()
        await connection.close()

    run_async(body)
    assert seen.only_finding("SW101")["opened_at"]["function"] == "body"


def test_place_of_an_async_commit_is_found_across_the_greenlet(watch, clock, seen, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def commit(session):
        await session.commit()

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                for name in "ab":
                    await session.execute(text(f"INSERT INTO item (name) VALUES ('{name}')"))
                    await commit(session)
                    clock.advance()

    run_async(body)
    assert "in commit" in seen.only_finding("SW201")["message"]


def test_full_stack_keeps_the_machinery_too(make_watch, read, make_session):
    watch = make_watch(Settings(stacks="full"))
    session = _open(make_session)
    (shown,) = read(watch).snapshot.open_sessions
    session.close()
    origins = {frame["origin"] for frame in shown["stack"]}
    assert {"application", "machinery", "library"} <= origins
    assert shown["opened_at"]["function"] == "_open"


def test_no_stack_when_stacks_are_off(make_watch, read, make_session):
    watch = make_watch(Settings(stacks="off"))
    with watch.owner("job"):
        session = _open(make_session)
        session.execute(text("SELECT 1"))
    finding = read(watch).only_finding("SW101")
    session.close()
    assert finding["opened_at"] is None
    assert finding["stack"] == []
    assert finding["message"].startswith("SW101 session leak: job opened a session and never")


@pytest.mark.parametrize("stacks", CAPTURES)
def test_scoped_session_is_known_as_one_whatever_is_kept(make_watch, read, make_session, stacks):
    watch = make_watch(Settings(stacks=stacks))
    registry = scoped_session(make_session)
    with watch.owner("job"):
        registry()
    assert read(watch).codes == []
    registry.remove()


def test_depth_is_bounded():
    def deep(depth, capture):
        return deep(depth - 1, capture) if depth else capture(sys._getframe())

    assert len(deep(200, capture_caller)[0].raw) == 8
    assert len(deep(200, capture_full)[0].raw) == 64
    assert deep(200, capture_nothing)[0].raw == ()


def _installed_module(tmp_path, source):
    """Code that stands in a folder of installed packages."""
    path = tmp_path / "lib" / "site-packages" / "shop" / "db.py"
    namespace = {}
    exec(compile(source, str(path), "exec"), namespace)
    return SimpleNamespace(**namespace)


def test_application_frames_come_before_those_of_installed_packages(tmp_path):
    shop = _installed_module(tmp_path, "def run(function):\n    return function()\n")
    stack, _ = shop.run(lambda: capture_caller(sys._getframe(1)))
    assert stack.place.function == (
        "test_application_frames_come_before_those_of_installed_packages"
    )


def test_application_that_is_itself_installed_is_still_named(tmp_path):
    """Frames of an installed package stand in where there is none of the application's."""
    source = "import sys\ndef work(capture, found):\n    found.append(capture(sys._getframe()))\n"
    shop = _installed_module(tmp_path, source)
    found = []
    thread = threading.Thread(target=shop.work, args=(capture_caller, found))
    thread.start()
    thread.join()
    ((stack, _),) = found
    assert (stack.place.function, stack.place.line) == ("work", 3)
    assert [frame.origin.value for frame in stack.application_frames()] == ["library"]


def test_sessionmaker_in_a_helper_names_the_helper_first(seen, engine):
    def get_session():
        return sessionmaker(engine)()

    session = get_session()
    (shown,) = seen.snapshot.open_sessions
    session.close()
    assert shown["stack"][0]["function"] == "get_session"
