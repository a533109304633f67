"""What sessionwatch recorded and what was proven without it are the same, in every cell."""

import os

from demo_app.variants import VARIANTS


def test_no_cell_of_the_sync_variants_disagrees(full_run):
    assert full_run.report["disagreements"] == []
    assert full_run.exit_status == 0
    assert len(full_run.report["variants"]) == len(VARIANTS)
    assert all(len(variant["cells"]) == 12 for variant in full_run.report["variants"])


def test_no_cell_of_the_async_variants_disagrees(async_run):
    assert async_run.report["disagreements"] == []
    assert async_run.exit_status == 0
    assert len(async_run.report["variants"]) == len(VARIANTS)


def test_an_async_leak_comes_back_through_the_collector(async_run):
    proven = async_run.proven("no-finally", "http-exception")

    assert proven["out_right_after"] == 1
    assert proven["out_after_collection"] == 0
    assert async_run.codes("no-finally", "http-exception") == {"SW101": "error"}


def test_the_table_counts_what_the_cells_hold(full_run):
    for variant in full_run.report["variants"]:
        single = [cell for cell in variant["cells"] if cell["burst"] is None]
        columns = variant["columns"]
        assert columns["opened"] == sum(cell["proven"]["opened"] for cell in single)
        assert columns["closed"] == sum(cell["proven"]["closed"] for cell in single)
        assert columns["leaked"] == sum(cell["proven"]["out_right_after"] for cell in single)


SABOTAGE = """
from sessionwatch.rules.catalog import OWNER_RULES

del OWNER_RULES["SW101"]
"""


def test_a_watch_that_misses_leaks_is_caught(command, package_root, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)

    finished = command(
        "compare",
        "--variant=no-finally",
        "--scenario=http-exception",
        PYTHONPATH=os.pathsep.join([str(tmp_path), package_root]),
    )

    said = " ".join(finished.stdout.split())
    assert finished.returncode == 1
    assert (
        "leaks in http-exception, the two testimonies disagree in http-exception: see below" in said
    )
    assert "sessions leaked with a connection: sessionwatch says 0, the pool says 1" in said
