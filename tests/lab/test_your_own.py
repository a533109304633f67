"""`compare --get-db` on a project of its own: the same code gets the same verdict as a classic."""

from pathlib import Path

import pytest

TWINS = (
    ("shop.database:get_db", "full"),
    ("shop.database:get_db_leaking", "no-finally"),
    ("shop.engine_sessions:get_session", "with-session"),
    ("shop.database:UnitOfWork", "full"),
    ("shop.database:get_unit_of_work", "full"),
    ("shop.database:get_in_scope", "begin"),
)
ASYNC_TWINS = (
    ("shop.async_database:get_session", "full"),
    ("shop.async_database:open_session", "no-yield"),
)


@pytest.fixture
def compare(run_compare, make_run, project):
    """Compares one of the project's dependencies, in its folder."""

    def run(*arguments):
        return make_run(run_compare(*arguments, folder=project))

    return run


def codes(cell):
    """What was found, but for SW504: whether a request of a burst had to wait is chance."""
    return {finding["code"] for finding in cell["findings"]} - {"SW504"}


def assert_same(run, twin):
    yours, classic = run.variant("yours"), run.variant(twin)
    assert yours["columns"] == classic["columns"]
    assert yours["verdict"] == classic["verdict"]
    for mine, theirs in zip(yours["cells"], classic["cells"], strict=True):
        assert mine["problems"] == theirs["problems"], mine["scenario"]
        assert codes(mine) == codes(theirs), mine["scenario"]
    assert run.report["disagreements"] == []
    assert run.report["comparisons"] == 300


@pytest.mark.parametrize(("name", "twin"), TWINS)
def test_same_code_same_verdict(compare, name, twin):
    assert_same(compare(f"--get-db={name}", f"--variant={twin}"), twin)


@pytest.mark.parametrize(("name", "twin"), ASYNC_TWINS)
def test_same_async_code_same_verdict(compare, name, twin):
    pytest.importorskip("aiosqlite")
    run = compare(f"--get-db={name}", f"--variant={twin}")
    assert run.report["database"]["is_async"] is True
    assert_same(run, twin)


def test_what_disagrees_with_itself_is_no_disagreement(compare):
    """Which thread leaves a dependency is chance, and with it what a thread's session goes through.

    Such sessions leak, are put to use again by others and come back; both testimonies know.
    """
    run = compare("--get-db=shop.scoped_sessions:get_current_session", "--variant=yours")
    assert run.report["disagreements"] == []


def test_all_classic_variants_stand_beside_it(compare, full_run):
    run = compare("--get-db=shop.database:get_db", "--scenario=success")
    keys = [variant["key"] for variant in run.report["variants"]]
    assert keys == ["yours", *(variant["key"] for variant in full_run.report["variants"])]


def test_yours_can_be_alone(compare):
    run = compare("--get-db=shop.database:provide", "--variant=yours", "--scenario=success")
    assert [variant["key"] for variant in run.report["variants"]] == ["yours"]


def test_listeners_of_the_users_sessionmaker_still_hear(command, project):
    noting = Path(project) / "shop" / "noting.py"
    noting.write_text(
        "from shop import database\n\n\n"
        "def get_db():\n"
        "    with database.SessionLocal() as db:\n"
        "        yield db\n"
        "        db.commit()\n"
        "    assert database.commits, 'the listener was not called'\n"
    )
    arguments = ("--get-db=shop.noting:get_db", "--variant=yours", "--scenario=success")
    finished = command("compare", *arguments, folder=project)
    noting.unlink()
    assert finished.returncode == 0, finished.stderr


def test_on_postgres(compare, postgres_url):
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://", 1)
    leaking = ("--get-db=shop.database:get_db_leaking", "--variant=no-finally")
    assert_same(compare(*leaking, f"--database-url={url}"), "no-finally")


def test_fail_on_is_about_ones_own_code(compare):
    condition = ("--variant=no-finally", "--scenario=http-exception", "--fail-on=error")
    assert compare("--get-db=shop.database:provide", *condition).exit_status == 0
    leaking = compare("--get-db=shop.database:get_db_leaking", *condition)
    assert leaking.exit_status == 1
    assert leaking.report["fail_on"]["met"] == ["error"]


def test_the_terminal_shows_it_in_full_and_alone(command, project):
    name = "shop.database:get_db_leaking"
    arguments = (f"--get-db={name}", "--variant=no-finally", "--scenario=http-exception")
    finished = command("compare", *arguments, folder=project)
    assert finished.returncode == 0
    printed = finished.stdout
    assert f"yours: {name}" in printed
    assert "→ 2 " in printed
    assert "The session of the worst finding was opened here." in printed
    assert "shop/database.py:48" in printed
    assert "no-finally: close after the yield" not in printed
    assert "question 4" not in printed.lower()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("--get-db=shop.databases:get_db",),
            "No module named 'shop.databases' in shop",
        ),
        (
            ("--get-db=shop.dependencies:get_paying_session",),
            "422 (header api-key: ",
        ),
        (("--get-db=shop.database:get_db", "--async"), "makes sync sessions: leave --async out"),
        (("--sessionmaker=shop.database:SessionLocal",), "--sessionmaker goes with --get-db"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(command, project, arguments, expected):
    finished = command("compare", *arguments, folder=project)
    assert (finished.returncode, finished.stdout) == (2, "")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("sessionwatch: --")
    assert expected in line
