"""The command line as its user meets it: options, errors in one line, and a clean end."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sessionwatch
from sessionwatch.cli import main

PACKAGE_ROOT = str(Path(sessionwatch.__file__).resolve().parents[1])
PATIENCE_SECONDS = 60
SMALL = ("--variant=full", "--scenario=success")


def start(*arguments, environment=None, **streams):
    streams.setdefault("stdout", subprocess.PIPE)
    streams.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "sessionwatch", *arguments],
        env={**os.environ, "PYTHONPATH": PACKAGE_ROOT, **(environment or {})},
        text=True,
        **streams,
    )


def run(*arguments, **environment):
    with start(*arguments, environment=environment) as process:
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


@pytest.fixture
def refused(capsys):
    """Returns the one line that refuses some arguments."""

    def ask(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["compare", *arguments])
        printed = capsys.readouterr()
        assert ended.value.code == 2
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        assert line.startswith("sessionwatch: ")
        return line

    return ask


@pytest.fixture(scope="module")
def small_run():
    """One variant in one scenario, as text at 80 columns."""
    return run("compare", *SMALL, COLUMNS="80")


def test_the_list_names_every_variant_and_scenario():
    finished = run("compare", "--list")

    assert finished.returncode == 0
    for key in ("no-finally", "recommended", "commit-fails", "burst"):
        assert f"\n{key} " in finished.stdout


def test_an_unknown_variant_is_told_the_known_ones(refused):
    line = refused("--variant", "fulll")

    assert "unknown variant 'fulll'" in line
    assert "no-finally, full, commit-unhandled" in line


def test_an_unknown_scenario_is_told_the_known_ones(refused):
    assert "unknown scenario 'sucess': choose from success, handler-commits" in refused(
        "--scenario", "sucess"
    )


def test_fail_on_takes_codes_and_severities_only(refused):
    line = refused("--fail-on", "SW999")

    assert "neither a severity (info, warning, error) nor a code (SW101," in line


def test_a_missing_module_is_one_line(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "greenlet", None)

    line = refused("--async")

    assert "--async needs greenlet" in line
    assert 'run pip install "sessionwatch[async]"' in line


def test_a_folder_that_is_not_there_is_one_line(refused, tmp_path):
    assert "can't write in" in refused("--database-url", f"sqlite:///{tmp_path}/missing/lab.db")


@pytest.fixture
def unwritable(tmp_path):
    """A folder that this user can't write in; root can in any, but not in the kernel's own."""
    tmp_path.chmod(0o500)
    yield Path("/sys") if os.access(tmp_path, os.W_OK) else tmp_path
    tmp_path.chmod(0o700)


def test_a_folder_without_write_permission_is_one_line(refused, unwritable):
    line = refused("--database-url", f"sqlite:///{unwritable}/lab.db")

    assert f"can't write in {unwritable} (" in line
    assert "name a file in a folder that you can write in" in line


def test_the_report_comes_in_the_promised_order(small_run):
    landmarks = [
        "sessionwatch compare:",
        "FastAPI ",
        "get_db opened",
        "full: commit, or roll back",
        "def get_db():",
        "The quiz, held against",
        "Do the two testimonies agree?",
        "Yes. In ",
    ]
    places = [small_run.stdout.index(landmark) for landmark in landmarks]

    assert small_run.returncode == 0
    assert places == sorted(places)


def test_without_a_terminal_there_is_no_progress_bar_and_no_colour(small_run):
    assert small_run.stderr == ""
    assert "\x1b" not in small_run.stdout


def test_a_question_that_was_not_measured_says_what_it_needs(small_run):
    assert "not measured" in small_run.stdout
    assert "needs no-finally and http-exception or unhandled" in small_run.stdout


@pytest.fixture(scope="module")
def repeated_run():
    """Some cells, each measured three times in a shuffled order, that must not pass."""
    keys = ("--variant=close-only", "--variant=full", "--scenario=success", "--scenario=unhandled")
    numbers = ("--repeat=3", "--seed=7", "--pool-size=1")
    conditions = ("--fail-on=warning", "--fail-on=sw203", "--fail-on=SW501")
    return run("compare", "--json", *keys, *numbers, *conditions)


def test_repeated_in_a_shuffled_order_the_verdicts_stay(repeated_run):
    report = json.loads(repeated_run.stdout)

    assert report["unstable"] == report["disagreements"] == []
    assert report["plan"]["repeat"] == 3
    assert (report["plan"]["seed"], report["plan"]["pool_size"]) == (7, 1)


def test_fail_on_is_met_by_its_code_and_by_what_is_worse(repeated_run):
    report = json.loads(repeated_run.stdout)

    assert repeated_run.returncode == 1
    assert report["fail_on"]["asked"] == ["warning", "SW203", "SW501"]
    assert report["fail_on"]["met"] == ["warning", "SW203"]


@pytest.fixture
def terminal():
    """Both ends of a pseudo-terminal: ours, and the one to give away."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def read_until_ended(terminal, process):
    drawn = b""
    while process.poll() is None or select.select([terminal], [], [], 0)[0]:
        if select.select([terminal], [], [], 0.05)[0]:
            drawn += os.read(terminal, 65536)
    return drawn.decode()


def test_a_named_file_stays_as_it_is_while_a_progress_bar_moves(terminal, tmp_path):
    named = tmp_path / "mine.db"
    named.write_text("precious")
    arguments = ("compare", *SMALL, f"--database-url=sqlite:///{named}")

    ours, theirs = terminal
    with start(*arguments, stderr=theirs, environment={"TERM": "xterm"}) as process:
        drawn = read_until_ended(ours, process)

    assert process.returncode == 0
    assert "measuring" in drawn
    assert "0/2" in drawn
    assert [path.name for path in tmp_path.iterdir()] == ["mine.db"]
    assert named.read_text() == "precious"


@pytest.fixture
def running(tmp_path):
    """A run under way: its servers serve and its files are in `tmp_path`."""
    process = start("compare", environment={"TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE)
    wait_for(lambda: list(tmp_path.glob("sessionwatch-*/*/cell-*.db")), process)
    yield process
    process.kill()
    process.communicate()


def wait_for(condition, process):
    """Wait until the condition is true, or fail when the process has ended."""
    for _ in range(PATIENCE_SECONDS * 50):
        if condition():
            return
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        if condition():
            return
        break
    pytest.fail(f"it ended or took too long: {process.poll()}")


def servers_of(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell the children of a process")
    return [int(child) for child in children.read_text().split()]


def is_alive(identifier):
    try:
        state = Path(f"/proc/{identifier}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_servers_and_removes_its_files(running, tmp_path, sent):
    servers = servers_of(running)
    assert servers

    running.send_signal(sent)
    stdout, stderr = running.communicate(timeout=PATIENCE_SECONDS)

    assert running.returncode == 130
    assert stdout == ""
    assert stderr == ("sessionwatch: interrupted; the servers are ended, nothing is left behind\n")
    assert list(tmp_path.iterdir()) == []
    assert not any(map(is_alive, servers))


def test_servers_clean_up_after_a_run_that_was_killed(running, tmp_path):
    servers = servers_of(running)
    watcher = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    running.kill()
    running.communicate()
    wait_for(lambda: not any(map(is_alive, servers)), watcher)
    watcher.communicate()

    assert list(tmp_path.iterdir()) == []
