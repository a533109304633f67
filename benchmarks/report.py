"""The results as tables, in Markdown so that they can be put into a document as they are."""

from typing import Any

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.applications import WORKLOADS
from benchmarks.contestants import BARE, CONTESTANTS
from benchmarks.targets import Target

_DRIVES = {
    "asgi": "Driven in process over ASGI",
    "uvicorn": "Driven through uvicorn, over one connection",
}


def show(results: dict[str, Any], targets: list[Target], console: Console) -> None:
    """Print everything that was measured."""
    for drive, contestants in results["drives"].items():
        _print(console, _DRIVES[drive] + ": ratio to bare (quartiles)", _ratios(contestants))
    if results["memory"] is not None:
        _print(console, "Memory beyond bare", _memory(results["memory"]))
        console.print(_snapshot(results["memory"]), "\n")
    _print(console, "Targets", _targets(targets))
    for name, reason in results["absent"].items():
        console.print(f"not measured: {name}: {reason}")
    found = {**results["versions"], **results["machine"], **results["made"]}
    console.print(", ".join(f"{name} {value}" for name, value in found.items()))


def _print(console: Console, title: str, table: Table) -> None:
    console.print(f"{title}\n")
    console.print(table)
    console.print()


def _table(*columns: str) -> Table:
    table = Table(box=MARKDOWN)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _ratios(contestants: dict[str, Any]) -> Table:
    workloads = [name for name in WORKLOADS if name in contestants[BARE]]
    table = _table("", *(WORKLOADS[name].title for name in workloads))
    for name, measured in contestants.items():
        cells = (_ratio(name, measured.get(workload)) for workload in workloads)
        table.add_row(name, *cells)
    return table


def _ratio(contestant: str, measured: dict[str, float] | None) -> str:
    if measured is None:
        return "-"
    if contestant == BARE:
        return f"{measured['microseconds']:.0f} µs"
    around = f"{measured['lower_quartile']:.2f}-{measured['upper_quartile']:.2f}"
    return f"{measured['ratio']:.2f} ({around})"


def _memory(memory: dict[str, Any]) -> Table:
    table = _table("", "open session", "session in a transaction", "growth per 100,000 requests")
    bare = memory["grown_per_100_000"][BARE]
    for name in (name for name in CONTESTANTS if name in memory["opened"]):
        table.add_row(
            name,
            f"{memory['opened'][name]:,.0f} bytes",
            f"{memory['in_transaction'][name]:,.0f} bytes",
            f"{(memory['grown_per_100_000'][name] - bare) / 1024:,.0f} KiB",
        )
    return table


def _snapshot(memory: dict[str, Any]) -> str:
    snapshot = {name: f"{seconds * 1e3:.2f} ms" for name, seconds in memory["snapshot"].items()}
    return (
        f"Snapshot of {memory['amounts']['sessions']:,} open sessions: {snapshot['median']}; "
        f"beside a thread that works {snapshot['median_beside_work']}, which waited for a lock "
        f"of ours {snapshot['lock_waited']} at most (held {snapshot['lock_held']}), and paused "
        f"{snapshot['pause']} at most (without snapshots {snapshot['pause_without']})."
    )


def _targets(targets: list[Target]) -> Table:
    table = _table("target", "at most", "measured (quartiles)", "fastest", "")
    for target in targets:
        table.add_row(
            target.text,
            f"{target.limit:,g} {target.unit}",
            _number(target.measured) + _around(target.spread),
            _number(target.fastest),
            target.verdict,
        )
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}"


def _around(spread: tuple[float, float] | None) -> str:
    return "" if spread is None else f" ({spread[0]:.3f}-{spread[1]:.3f})"
