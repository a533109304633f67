"""`compare --get-db` on a project of its own: the same code gets the same verdict as a classic."""

import os
import shutil
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent / "sample_project"
ONE_REQUEST = ("--scenario=success", "--scenario=http-exception")

SYNC_TWINS = (
    ("shop.database:get_db", "full"),
    ("shop.database:get_db_leaking", "no-finally"),
    ("shop.database:open_session", "no-yield"),
    ("shop.database:session_scope", "begin"),
    ("shop.database:provide", "with-session"),
    ("shop.engine_sessions:get_session", "with-session"),
)
ASYNC_TWINS = (
    ("shop.async_database:get_session", "full"),
    ("shop.async_database:get_session_leaking", "no-finally"),
    ("shop.async_database:open_session", "no-yield"),
    ("shop.async_database:session_scope", "begin"),
    ("shop.async_database:SessionContext", "with-session"),
)
FORMS = (
    ("shop.database:Repository", "the session that its instance holds"),
    ("shop.database:SessionContext", "entered by the lab"),
    ("shop.database:session_scope", "FastAPI took the generator itself"),
    ("shop.dependencies:get_tenant_session", "shop.database:SessionLocal was rebound"),
    ("shop.dependencies:get_through_module", "shop.database:SessionLocal was rebound"),
    ("shop.dependencies:SessionDependency", "shop.database:SessionLocal was rebound"),
    ("shop.engine_sessions:get_registry", "shop.engine_sessions:registry was rebound"),
    ("shop.watched:get_db", "shop.database:SessionLocal was rebound"),
)
REFUSED = (
    ("get_db", "'get_db' names nothing that can be imported", "app.database:get_db"),
    ("shop.database:get_bd", "shop.database has no 'get_bd': did you mean get_db?"),
    ("shop.databases:get_db", "No module named 'shop.databases' in shop, which is "),
    ("store.database:get_db", "run this in the folder that holds store"),
    ("shop.database:engine", "is no function but an Engine"),
    ("shop.faulty.settings:get_db", "shop/faulty/reading.py:2 in read: KeyError: 'SHOP_DATABASE"),
    ("shop.faulty.missing_library:get_db", "shop/faulty/missing_library.py:1 in <module>: Module"),
    ("shop.faulty.syntax:get_db", "shop/faulty/syntax.py:1: SyntaxError: "),
    ("shop.faulty.connecting:get_db", "shop/faulty/connecting.py:3 in <module>: a connection to"),
    ("shop.faulty.wiring:get_either", "name the one with --sessionmaker shop.faulty.wiring:Read"),
    ("shop.faulty.wiring:get_bound_elsewhere", "bound to sqlite+pysqlite:///production.db"),
    ("shop.faulty.wiring:get_failing", "wiring.py:34 in get_failing: RuntimeError: no tenant for"),
    ("shop.faulty.wiring:Holder", "gives a Holder and not a Session"),
    ("shop.dependencies:get_paying_session", "422 (header api-key: Field required)"),
)
REFUSED_WITH_OPTIONS = (
    (
        ("--get-db=shop.faulty.wiring:get_hidden", "--sessionmaker=shop.database:SessionLocal"),
        "make it once in a module",
    ),
    (
        ("--get-db=shop.faulty.wiring:get_pair", "--sessionmaker=shop.faulty.wiring:Reading"),
        "gives a tuple and not a Session",
    ),
    (
        ("--get-db=shop.faulty.wiring:get_either", "--sessionmaker=shop.faulty.wiring:Writing"),
        "although shop.faulty.wiring:Writing was rebound",
    ),
    (
        ("--get-db=shop.database:get_db", "--sessionmaker=shop.database:Base"),
        "can only rebind a sessionmaker",
    ),
    (("--get-db=shop.database:get_db", "--async"), "makes sync sessions: leave --async out"),
    (("--sessionmaker=shop.database:SessionLocal",), "goes with --get-db"),
)


@pytest.fixture
def project(tmp_path):
    """The sample project on its own in a folder, with a module that no linter would let pass."""
    folder = tmp_path / "project"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "shop" / "faulty" / "syntax.py").write_text("def get_db(:\n")
    before = files_in(folder)
    yield str(folder)
    assert files_in(folder) == before, "the project was written into"


@pytest.fixture
def compare(run_compare, make_run, project):
    """Compares one of the project's dependencies, in its folder."""

    def run(*arguments):
        return make_run(run_compare(*arguments, folder=project))

    return run


def files_in(folder):
    found = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {str(file) for file in found if "__pycache__" not in file.parts}


def assert_same(run, twin):
    yours, classic = run.variant("yours"), run.variant(twin)
    assert yours["columns"] == classic["columns"]
    assert yours["verdict"] == classic["verdict"]
    for mine, theirs in zip(yours["cells"], classic["cells"], strict=True):
        assert mine["problems"] == theirs["problems"], mine["scenario"]
        assert {each["code"] for each in mine["findings"]} == {
            each["code"] for each in theirs["findings"]
        }, mine["scenario"]
    assert run.report["disagreements"] == []
    assert run.report["comparisons"] == 300


@pytest.mark.parametrize(("name", "twin"), SYNC_TWINS)
def test_same_code_same_verdict(compare, name, twin):
    assert_same(compare(f"--get-db={name}", f"--variant={twin}"), twin)


@pytest.mark.parametrize(("name", "twin"), ASYNC_TWINS)
def test_same_async_code_same_verdict(compare, name, twin):
    pytest.importorskip("aiosqlite")
    run = compare(f"--get-db={name}", f"--variant={twin}")
    assert run.report["database"]["is_async"] is True
    assert_same(run, twin)


@pytest.mark.parametrize(("name", "remark"), FORMS)
def test_every_form_is_taken(compare, name, remark):
    run = compare(f"--get-db={name}", "--variant=yours", *ONE_REQUEST)
    assert run.report["disagreements"] == []
    (yours,) = run.report["variants"]
    assert remark in yours["origin"]
    assert yours["columns"]["opened"] == 2


def test_one_of_two_sessionmakers_can_be_named(compare):
    named = ("--get-db=shop.faulty.wiring:get_either", "--sessionmaker=shop.faulty.wiring:Reading")
    run = compare(*named, "--variant=yours", *ONE_REQUEST)
    assert run.report["disagreements"] == []
    assert run.variant("yours")["columns"]["opened"] == 2


def test_all_classic_variants_stand_beside_it(compare, full_run):
    run = compare("--get-db=shop.database:get_db", "--scenario=success")
    keys = [variant["key"] for variant in run.report["variants"]]
    assert keys == ["yours", *(variant["key"] for variant in full_run.report["variants"])]


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
    run = compare(
        "--get-db=shop.database:get_db_leaking",
        "--variant=no-finally",
        f"--database-url={postgres_url}",
    )
    assert_same(run, "no-finally")


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


@pytest.mark.parametrize(("name", "expected"), [(each[0], each[1:]) for each in REFUSED])
def test_what_cannot_be_used_is_told_in_one_line(command, project, name, expected):
    assert_refused(
        command("compare", f"--get-db={name}", "--variant=yours", folder=project), expected
    )


@pytest.mark.parametrize(("arguments", "expected"), REFUSED_WITH_OPTIONS)
def test_options_that_do_not_fit_are_told_in_one_line(command, project, arguments, expected):
    assert_refused(command("compare", *arguments, "--variant=yours", folder=project), (expected,))


def assert_refused(finished, expected):
    assert (finished.returncode, finished.stdout) == (2, "")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("sessionwatch: --")
    for words in expected:
        assert words in line
