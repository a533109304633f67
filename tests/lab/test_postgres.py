"""The same lab on a real PostgreSQL, through psycopg and asyncpg."""

import contextlib
import signal
import subprocess

import pytest

psycopg = pytest.importorskip("psycopg")

VARIANTS = ("no-finally", "full", "recommended")
SCENARIOS = ("success", "unhandled", "swallowed-transfer", "commit-fails", "background", "stream")
CHOSEN = [f"--variant={key}" for key in VARIANTS]
CHOSEN += [f"--scenario={key}" for key in (*SCENARIOS, "burst")]
DRIVERS = {"psycopg": (), "asyncpg": ("--async",)}


def with_driver(url, driver):
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


@contextlib.contextmanager
def connection(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session", params=DRIVERS)
def postgres_run(request, once, run_compare, make_run):
    driver = request.param
    pytest.importorskip(driver)

    def run():
        url = request.getfixturevalue("postgres_url")
        arguments = ("--database-url", with_driver(url, driver), *CHOSEN, *DRIVERS[driver])
        return {**run_compare(*arguments), "left": leftovers(url)}

    finished = once(f"postgres_run_{driver}", run)
    run = make_run(finished)
    run.left = finished["left"]
    return run


def leftovers(url):
    """The schemas that a finished run left on the server."""
    asked = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sessionwatch%'"
    with connection(url) as asking:
        return asking.execute(asked).fetchall()


def test_the_testimonies_agree(postgres_run):
    assert postgres_run.report["disagreements"] == []
    assert postgres_run.exit_status == 0
    assert [len(variant["cells"]) for variant in postgres_run.report["variants"]] == [7] * 3


def test_the_header_names_driver_and_server(postgres_run):
    names = set(postgres_run.report["versions"])

    assert "PostgreSQL" in names
    assert names & set(DRIVERS)


def test_a_leak_is_held_until_the_collector_runs(postgres_run):
    proven = postgres_run.proven("no-finally", "unhandled")

    assert proven["calls"] == [""]
    assert (proven["out_right_after"], proven["out_after_collection"]) == (1, 0)


def test_a_deferred_constraint_fails_at_commit(
    postgres_run, commits_after_response, has_function_scope
):
    full = 200 if commits_after_response else 500

    assert postgres_run.proven("full", "commit-fails")["status"] == full
    assert postgres_run.proven("recommended", "commit-fails")["status"] == (
        500 if has_function_scope else full
    )


def test_a_background_task_is_not_locked_out(postgres_run):
    proven = postgres_run.proven("full", "background")

    assert proven["kept"]
    assert not proven["lost"]


def test_nothing_is_left_in_the_database(postgres_run):
    assert postgres_run.left == []


def test_no_server_is_one_line(command, unused_port):
    url = f"postgresql+psycopg://me:secret@127.0.0.1:{unused_port}/lab"

    finished = command("compare", "--database-url", url)

    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith("sessionwatch: can't connect to postgresql+psycopg://me:***@")
    assert "start the server, or correct --database-url" in finished.stderr


def test_no_right_to_create_a_schema_is_one_line(command, postgres_url):
    with connection(postgres_url) as asking:
        asking.execute("CREATE ROLE visitor LOGIN")
        (database,) = asking.execute("SELECT current_database()").fetchone()
        asking.execute(f'REVOKE CREATE ON DATABASE "{database}" FROM PUBLIC')
    url = with_driver(postgres_url, "psycopg").replace("postgres:@", "visitor:@", 1)

    finished = command("compare", "--database-url", url)

    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert "no right to create a schema" in finished.stderr
    assert "GRANT CREATE ON DATABASE" in finished.stderr


def test_an_interrupted_run_leaves_no_schema(start_command, postgres_url):
    url = with_driver(postgres_url, "psycopg")
    process = start_command("compare", "--database-url", url, *CHOSEN)
    while process.poll() is None and not leftovers(postgres_url):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr
    assert leftovers(postgres_url) == []
