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


TWIN = find_variant("with-session")

# The status that the client is told, the calls on the session and the orders in the database.
LEFT = {
    "": (200, "close", 0),
    "/handler-commits": (200, "commit close", 1),
    "/http-exception": (400, "close", 0),
    "/unhandled": (500, "close", 0),
    "/bad-response": (500, "close", 0),
    "/deferred": (200, "close", 0),
}


@pytest.mark.parametrize("path", LEFT)
@pytest.mark.parametrize(
    "variant", [TWIN, replace(TWIN, build=with_its_session)], ids=["with-session", "sqlmodel"]
)
def test_it_leaves_what_its_twin_leaves(variant, path, open_shop):
    status, seen = open_shop(variant).ask(f"/orders{path}")
    assert (status, seen.calls, seen.orders) == LEFT[path]
    assert seen.out == 0
