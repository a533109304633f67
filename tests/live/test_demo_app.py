"""The demo app, unchanged under `sessionwatch run`, gives what it gives with sessionwatch in it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import httpx
import pytest

from .conftest import PACKAGE_ROOT, PATIENCE_SECONDS, Running

ORDER = {"reference": "one"}
REQUESTS = (
    ("GET", "/items/", None),
    ("GET", "/items/all", None),
    ("POST", "/add", {"name": "lamp"}),
    ("POST", "/orders", ORDER),
    ("POST", "/orders/handler-commits", {"reference": "two"}),
    ("POST", "/orders/http-exception", {"reference": "three"}),
    ("POST", "/orders/unhandled", {"reference": "four"}),
    ("POST", "/orders/bad-response", {"reference": "five"}),
    ("POST", "/transfer/split", {}),
    ("POST", "/transfer/swallowed", {}),
    ("POST", "/orders/deferred", {"reference": "six"}),
    ("GET", "/items/", None),
)
UNTIL_IT_LEAKS = (*REQUESTS[:3], REQUESTS[5], REQUESTS[0])
"""A session that leaks with a write would have every later write wait for SQLite's lock."""
PREPARE = "from demo_app.__main__ import prepare_database; prepare_database()"
INSTALLED = """\
import sessionwatch
from {module} import app
sessionwatch.install(app)
"""
VARIANT = """\
from demo_app.application import create_variant_app
from demo_app.database import SessionLocal
from demo_app.variants import find_variant
app = create_variant_app(find_variant("{key}", is_async=False), SessionLocal)
"""


@pytest.fixture
def served(tmp_path):
    """Serve an application of a folder of its own; give what is told of it after all requests."""
    started = []

    def serve(name, module, files, requests, *command):
        folder = tmp_path / name
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text)
        options = {"cwd": folder, "env": {"PYTHONPATH": PACKAGE_ROOT, "PATH": "/usr/bin:/bin"}}
        subprocess.run([sys.executable, "-c", PREPARE], check=True, timeout=60, **options)
        process = subprocess.Popen(
            [sys.executable, "-m", *command, module, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        running = Running(process)
        started.append(running)
        port = running.wait_for(r"running on http://127\.0\.0\.1:(\d+)")[1]
        report = asked(f"http://127.0.0.1:{port}", requests)
        running.end(signal.SIGINT)
        return report

    yield serve
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(10)
        running.process.stdout.close()


def asked(url, requests):
    """Send every request and return the report when all of them are judged."""
    # A connection for each: uvicorn drops one whose request raised after its answer.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, trust_env=False, timeout=30, limits=limits) as client:
        for number, (method, path, body) in enumerate(requests, start=1):
            client.request(method, path, json=body)
            report = judged(client, number)
    return report


def judged(client, number):
    """Wait until so many requests have closed their sessions, or are known to have leaked them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        report = client.get("/debug/sessions").json()
        totals = report["totals"]
        if totals["owners"] == number and totals["closed"] + totals["leaked"] == totals["opened"]:
            return report
        assert time.monotonic() < deadline, report["routes"]
        time.sleep(0.01)


def told(report):
    return sorted(
        (
            finding["code"],
            finding["severity"],
            finding["owner"]["name"],
            finding["opened_at"]["file"],
            finding["opened_at"]["line"],
            finding["count"],
        )
        for finding in report["findings"]
        if finding["code"] != "SW103"  # when the garbage collector runs is chance
    )


@pytest.mark.parametrize(
    ("key", "requests"),
    [("as it is", REQUESTS), ("full", REQUESTS), ("no-finally", UNTIL_IT_LEAKS)],
)
def test_the_same_findings_as_with_sessionwatch_installed(served, key, requests):
    module = "demo_app.__main__" if key == "as it is" else "shop"
    files = {} if key == "as it is" else {"shop.py": VARIANT.format(key=key)}
    unchanged = served("unchanged", f"{module}:app", files, requests, "sessionwatch", "run")
    files["installed.py"] = INSTALLED.format(module=module)
    installed = served("installed", "installed:app", files, requests, "uvicorn")
    assert told(unchanged) == told(installed)
    assert told(unchanged) != []
    for name in ("opened", "closed", "committed", "rolled_back", "writes", "leaked"):
        assert unchanged["totals"][name] == installed["totals"][name]
