"""SQLModel's own way to write the dependency behaves as the `with-session` variant does."""

from dataclasses import replace

import pytest

from demo_app.variants import find_variant

sqlmodel = pytest.importorskip("sqlmodel")


def with_its_session(create_session):
    """What SQLModel's documentation shows, with a session whose calls are tallied."""

    class Session(create_session.class_, sqlmodel.Session):
        pass

    def get_db():
        with Session(create_session.kw["bind"], info=create_session.kw["info"]) as session:
            yield session

    return get_db


PATHS = ("", "/handler-commits", "/http-exception", "/unhandled", "/bad-response", "/deferred")


@pytest.mark.parametrize("path", PATHS)
def test_it_leaves_what_its_twin_leaves(path, open_shop, tmp_path):
    twin = find_variant("with-session")
    seen = [
        open_shop(variant).ask(f"/orders{path}")
        for variant in (twin, replace(twin, build=with_its_session))
    ]
    assert seen[0] == seen[1]
    calls, out, _ = seen[1][1]
    assert (calls, out) == ("commit close" if path == "/handler-commits" else "close", 0)
