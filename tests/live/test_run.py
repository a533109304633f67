"""`sessionwatch run` serves an application as it is, tells what it finds, and sums up."""

from __future__ import annotations

import signal

import pytest


def test_findings_come_as_they_are_made_and_a_summary_at_the_end(serve, leak_line):
    running, client = serve()
    assert client.get("/fine").json() == client.get("/leak/7").json() == 1
    running.wait_for(
        rf"ERROR sessionwatch: SW101 session leak: GET /leak/\{{number\}} .*shop\.py:{leak_line}"
    )
    assert running.end(signal.SIGINT) == 0
    summary = running.printed.rpartition("Finished server process")[2]
    assert "2 opened, 1 closed, 1 open, 1 leaked" in summary
    assert f"shop.py:{leak_line} in get_db" in summary
    assert "SW101 error" in summary
    assert "Traceback" not in running.printed


def test_the_page_answers_beside_it(serve):
    running, client = serve()
    client.get("/leak/7")
    running.wait_for("SW101 session leak")
    report = client.get("/debug/sessions").json()
    assert report["totals"]["leaked"] == 1
    assert (
        "<title>sessionwatch</title>"
        in client.get("/debug/sessions", headers={"accept": "text/html"}).text
    )


@pytest.mark.parametrize(
    ("condition", "path", "status"),
    [
        ("error", "/leak/1", 1),
        ("SW101", "/leak/1", 1),
        ("SW301", "/leak/1", 0),
        ("error", "/fine", 0),
    ],
)
def test_fail_on(serve, condition, path, status):
    running, client = serve("shop:app", "--fail-on", condition, "--report=github")
    client.get(path)
    assert running.end(signal.SIGINT) == status
    annotation = "::error title=SW101 session-leak,file=shop.py,line="
    assert (annotation in running.printed) is (path == "/leak/1")
    assert (f"--fail-on {condition} is met" in running.printed) is (status == 1)


def test_a_factory(serve):
    running, client = serve("shop:create_app", "--factory")
    assert client.get("/leak/1").status_code == 200
    running.wait_for("SW101 session leak")


def test_an_application_without_a_framework(serve):
    running, client = serve("shop:plain")
    assert client.get("/anything").text == "plain"
    running.wait_for("SW101 session leak: GET")
    assert client.get("/debug/sessions").json()["totals"]["leaked"] == 1
    assert running.end(signal.SIGINT) == 0


def test_one_that_has_sessionwatch_already_keeps_it(serve, folder):
    text = (folder / "shop.py").read_text()
    installed = "import sessionwatch\nsessionwatch.install(app, path='/own')\n"
    (folder / "shop.py").write_text(text + installed)
    running, client = serve()
    client.get("/leak/1")
    running.wait_for("SW101 session leak")
    assert client.get("/own").json()["totals"]["leaked"] == 1
    assert client.get("/debug/sessions").status_code == 404
    assert running.end(signal.SIGINT) == 0
    assert "1 leaked" in running.printed


def test_workers_are_summed_up_together(serve):
    running, client = serve("shop:app", "--workers", "2")
    for _ in range(4):
        client.get("/leak/1", headers={"connection": "close"})
    assert running.end(signal.SIGINT) == 0
    assert "4 opened, 0 closed, 4 open, 4 leaked" in running.printed


def test_workers_of_an_application_without_a_framework(serve):
    running, client = serve("shop:plain", "--workers", "2")
    client.get("/")
    assert running.end(signal.SIGINT) == 0
    assert "1 opened, 0 closed, 1 open, 1 leaked" in running.printed


def test_reload_serves_what_was_changed_and_sums_up_both(serve, folder):
    running, client = serve("shop:app", "--reload")
    client.get("/leak/1")
    running.wait_for("SW101 session leak")
    text = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(text.replace('"/fine"', '"/better"'))
    running.wait_for(r"(?s)Reloading.*Application startup complete")
    assert client.get("/better").status_code == 200
    assert running.end(signal.SIGINT) == 0
    assert "2 opened, 1 closed, 1 open, 1 leaked" in running.printed


def test_settings_of_the_environment_hold(serve):
    running, client = serve(SESSIONWATCH_IGNORE="SW101", SESSIONWATCH_TOKEN="open sesame")
    client.get("/leak/1")
    assert client.get("/debug/sessions").status_code == 403
    assert running.end(signal.SIGINT) == 0
    assert "SW101 session leak" not in running.printed


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["shop"], 2, "'shop' names no application: give MODULE:APP"),
        (["shop:app", "--fail-on", "SW999"], 2, "--fail-on: 'SW999' is neither"),
        (["nowhere:app"], 2, 'Could not import module "nowhere"'),
        (["shop:nothing"], 2, 'Attribute "nothing" not found in module "shop"'),
        (["shop:app", "--port", "none"], 2, "Invalid value for '--port'"),
        (["shop:app", "--no-such-option"], 2, "No such option"),
    ],
)
def test_a_mistake_is_told_in_a_line(start, arguments, status, line):
    running = start("run", *arguments)
    assert running.process.wait(30) == status
    running.wait_for("")
    assert line in running.printed
    assert "Traceback" not in running.printed


def test_nothing_is_left_behind(serve, folder, tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("temporary")
    running, client = serve(TMPDIR=str(place))
    client.get("/leak/1")
    assert running.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert list(place.iterdir()) == []
