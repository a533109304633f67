"""Who is judged, when, and which test fails."""

from __future__ import annotations

import pytest


def test_off_until_asked_for(shop):
    outcome = shop("def test_leak(): open_and_keep()\n", asked="")
    assert (outcome.status, outcome.counts) == (0, {"passed": 1})
    assert "SW101" not in outcome


def test_leaking_test_fails_in_teardown_with_the_line(shop):
    outcome = shop("""
def test_before():
    pass

def test_leak():
    open_and_keep()

def test_after():
    with SessionLocal() as session:
        session.execute(ONE)
    gc.collect()
""")
    assert (outcome.status, outcome.leaking) == (1, ["test_shop.py::test_leak"])
    assert outcome.counts == {"passed": 3, "error": 1}
    assert "ERROR at teardown of test_leak" in outcome
    assert "test_shop.py::test_leak opened a session at shop.py:" in outcome
    assert "fix: Close the session on every way out" in outcome


def test_warn_tells_and_fails_nothing(shop):
    outcome = shop("def test_leak(): open_and_keep()\n", asked="--sessionwatch=warn")
    assert (outcome.status, outcome.counts) == (0, {"passed": 1})
    assert "SW101 session-leak (error) at shop.py:" in outcome


def test_leak_that_the_collector_would_hide_is_found(shop):
    outcome = shop("""
def test_lost():
    session = SessionLocal()
    session.execute(ONE)

def test_next():
    gc.collect()
""")
    assert outcome.leaking == ["test_shop.py::test_lost"]


def test_generator_that_closes_when_it_is_collected_is_no_leak(shop):
    outcome = shop("""
def test_next_of_a_generator():
    generator = get_db()
    session = next(generator)
    session.execute(ONE)
    session.info["cycle"] = generator
""")
    assert (outcome.status, outcome.leaking) == (0, [])


def test_fixture_of_the_tests_own_belongs_to_it(shop):
    outcome = shop("""
@pytest.fixture
def session():
    session = SessionLocal()
    yield session
    session.close()

@pytest.fixture
def forgotten():
    open_and_keep()

def test_closed_in_teardown(session):
    session.execute(ONE)

def test_left_open(forgotten):
    pass
""")
    assert outcome.leaking == ["test_shop.py::test_left_open"]


@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
def test_fixture_of_many_tests_is_no_leak_of_the_first(shop, scope):
    outcome = shop(f"""
@pytest.fixture(scope="{scope}")
def session():
    session = SessionLocal()
    session.execute(ONE)
    yield session
    session.close()

@pytest.fixture(scope="{scope}")
def connection():
    with engine.connect() as connection:
        yield connection

class TestBoth:
    def test_first(self, session, connection):
        session.execute(ONE)

    def test_second(self, session, connection):
        connection.execute(ONE)
""")
    assert (outcome.status, outcome.leaking) == (0, [])


def test_fixture_of_many_tests_that_leaks_fails_the_run_and_no_test(shop):
    outcome = shop("""
@pytest.fixture(scope="module")
def forgotten():
    open_and_keep()
    yield
    kept.clear()

def test_first(forgotten):
    pass

def test_second(forgotten):
    pass
""")
    assert (outcome.status, outcome.counts) == (1, {"passed": 2})
    assert "fixture forgotten (module)" in outcome
    assert "the run fails for what belongs to no single test" in outcome


def test_fixture_that_fails_is_judged_too(shop):
    outcome = shop("""
@pytest.fixture(scope="module")
def broken():
    open_and_keep()
    raise RuntimeError("no")

def test_first(broken):
    pass
""")
    assert outcome.status == 1
    assert "fixture broken (module)" in outcome


def test_test_that_fails_by_itself_has_no_second_error(shop):
    outcome = shop("""
def test_fails():
    open_and_keep()
    assert False
""")
    assert outcome.counts == {"failed": 1}
    assert "SW101 session-leak (error)" in outcome


def test_leak_of_one_test_is_never_blamed_on_another(shop):
    """Neither when the collector takes it, nor when it is used or closed, nor by a thread."""
    outcome = shop("""
def test_a_leaks():
    open_and_keep()

def test_b_uses_it():
    kept[0].execute(ONE)

def test_c_collects():
    kept.clear()
    gc.collect()

may_open, opened = threading.Event(), threading.Event()

def work():
    may_open.wait(10)
    open_and_keep()
    opened.set()

def test_d_leaves_a_thread_behind():
    threading.Thread(target=work, daemon=True).start()

def test_e_meanwhile():
    may_open.set()
    assert opened.wait(10)
""")
    assert outcome.leaking == ["test_shop.py::test_a_leaks"]


def test_parametrised_tests_are_told_apart(shop):
    outcome = shop("""
@pytest.mark.parametrize("leaks", [False, True, False])
def test_one(leaks):
    if leaks:
        open_and_keep()
""")
    assert outcome.leaking == ["test_shop.py::test_one[True]"]


def test_unittest_classes(shop):
    outcome = shop("""
import unittest

class TestItems(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = SessionLocal()
        cls.shared.execute(ONE)

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def setUp(self):
        self.session = SessionLocal()

    def tearDown(self):
        self.session.close()

    def test_fine(self):
        self.session.execute(ONE)

    def test_leak(self):
        open_and_keep()
""")
    assert outcome.leaking == ["test_shop.py::TestItems::test_leak"]


def test_thread_of_the_test_belongs_to_it(shop):
    outcome = shop("""
def test_thread():
    thread = threading.Thread(target=open_and_keep)
    thread.start()
    thread.join()
""")
    assert outcome.leaking == ["test_shop.py::test_thread"]


def test_work_that_a_test_throws_away_is_its_own_business(shop):
    outcome = shop("""
def test_writes():
    with SessionLocal() as session:
        session.add(Item(name="lamp"))
        session.commit()
        session.add(Item(name="chair"))
        session.flush()
""")
    assert (outcome.status, outcome.leaking) == (0, [])


def test_connection_without_a_session(shop):
    outcome = shop("""
def test_connection():
    kept.append(engine.connect())

def test_closed():
    with engine.connect() as connection:
        connection.execute(ONE)
""")
    assert outcome.leaking == ["test_shop.py::test_connection"]
