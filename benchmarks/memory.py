"""What contestants keep in memory, each asked in a new process (in the parent)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks import imports
from benchmarks.applications import SQLITE_URL
from benchmarks.contestants import BARE, CONTESTANTS, DEFAULT
from benchmarks.process import Child, ChildError

MILLION = 1_000_000
_SEEN_EVERY = 100_000
_SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class Amounts:
    """How much of everything is measured."""

    sessions: int = 10_000
    in_transaction: int = 1_000
    warm_up: int = 5_000
    requests: int = 25_000
    snapshots: int = 9
    imports: int = 15


QUICK = Amounts(sessions=500, in_transaction=100, warm_up=200, requests=500, snapshots=3, imports=2)


@dataclass
class Memory:
    """Bytes, by contestant; seconds for snapshots of `amounts.sessions` sessions and the import."""

    amounts: Amounts
    opened: dict[str, float] = field(default_factory=dict)
    """Of a session that is open, beyond bare."""
    in_transaction: dict[str, float] = field(default_factory=dict)
    """Of a session that has selected, beyond bare."""
    grown: dict[str, int] = field(default_factory=dict)
    """Over `amounts.requests` requests, resident, bare's own growth included."""
    absent: dict[str, str] = field(default_factory=dict)
    snapshot: dict[str, float] = field(default_factory=dict)
    import_seconds: list[float] = field(default_factory=list)
    million: list[int] = field(default_factory=list)
    """Resident bytes after each 100,000 of a million sessions, the first before all."""


def measure(
    names: Sequence[str], amounts: Amounts, *, million: bool, progress: Callable[[str], None]
) -> Memory:
    """Ask every contestant; `million` also uses a million sessions in the default tier."""
    memory = Memory(amounts)
    present = [name for name in names if CONTESTANTS[name].absence is None]
    progress(f"memory: {', '.join(present)}")
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        list(threads.map(lambda name: _ask(name, memory), present))
    for held in (memory.opened, memory.in_transaction):
        bare = held[BARE]
        held.update({name: each - bare for name, each in held.items()})
    progress("snapshots, imports")
    with Child(DEFAULT, SQLITE_URL) as child:
        child.ready()
        memory.snapshot = child.ask("snapshot", sessions=amounts.sessions, times=amounts.snapshots)
    memory.import_seconds = imports.measure(amounts.imports)
    if million:
        progress("a million sessions")
        with Child(DEFAULT, SQLITE_URL) as child:
            child.ready()
            memory.million = child.ask("million", sessions=MILLION, every=_SEEN_EVERY)
    return memory


def _ask(name: str, memory: Memory) -> None:
    amounts = memory.amounts
    try:
        with Child(name, SQLITE_URL) as child:
            child.ready()
            memory.grown[name] = child.ask(
                "grow", workload="select", warm_up=amounts.warm_up, requests=amounts.requests
            )
            held = child.ask(
                "hold", sessions=amounts.sessions, in_transaction=amounts.in_transaction
            )
    except ChildError as error:
        memory.absent[name] = str(error)
    else:
        memory.opened[name] = held["opened"]
        memory.in_transaction[name] = held["in_transaction"]
