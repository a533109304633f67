"""The turns: every contestant in a process of its own, one turn each per round, in random order.

Two processes of the same kind differ by some percent, by where their memory happens to lie. So each
contestant gets several processes, one after the other, and each turn is compared with the turn of
bare in the same round.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.applications import SQLITE_URL, Workload
from benchmarks.client import Client
from benchmarks.contestants import BARE, CONTESTANTS, DISABLED
from benchmarks.process import Child, ChildError

ASGI, UVICORN = "asgi", "uvicorn"
DRIVES = (ASGI, UVICORN)
_PAIRS_PER_ROUND = 250


@dataclass
class Times:
    """The ratios to bare, and what bare took, by drive, workload and contestant."""

    ratios: dict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    seconds: dict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    paired: list[float] = field(default_factory=list)
    """The ratio of disabled to bare within one process, for each process of bare."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why a contestant, or "contestant: workload", was not measured."""


class Player:
    """A child that can be driven either way."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.name = child.contestant
        self._client: Client | None = None

    def play(self, drive: str, workload: Workload, requests: int) -> float:
        """Have requests answered, and return the child's processor time for each."""
        if drive == ASGI:
            return float(self.child.ask("run", workload=workload.name, requests=requests))
        if self._client is None:
            self._client = Client(self.child.ask("serve"))
        before = self.child.ask("clock")
        self._client.send(workload, requests)
        return float(self.child.ask("clock") - before) / requests

    def warm_up(self, drive: str, workload: Workload) -> None:
        """Let it play out of competition; raises `ChildError` if it is to record and did not."""
        self.child.ask("recorded")
        self.play(drive, workload, workload.requests)
        if self.child.ask("recorded") == 0:
            raise ChildError(f"recorded nothing of {workload.path}")

    def close(self) -> None:
        """Close the connection to its server."""
        if self._client is not None:
            self._client.close()


@contextmanager
def players(names: Sequence[str], url: str, absent: dict[str, str]) -> Iterator[list[Player]]:
    """Start a process for each; those that can't take part are noted in `absent`.

    Raises `ChildError` if bare is among those.
    """
    with ExitStack() as stack:
        started = []
        for name in names:
            reason = CONTESTANTS[name].absence
            if reason is None:
                started.append(stack.enter_context(Child(name, url)))
            else:
                absent[name] = reason
        ready = []
        for child in started:
            try:
                child.ready()
            except ChildError as error:
                if child.contestant == BARE:
                    raise
                absent[child.contestant] = str(error)
            else:
                ready.append(Player(child))
                stack.callback(ready[-1].close)
        yield ready


def take_turns(
    names: Sequence[str],
    workloads: Sequence[Workload],
    drives: Sequence[str],
    *,
    processes: int,
    rounds: int,
    postgres_url: str | None,
    progress: Callable[[str], None],
) -> Times:
    """Measure all of them; `processes` is how many each contestant gets."""
    times = Times()
    groups = [
        (SQLITE_URL, [each for each in workloads if not each.on_postgres]),
        (postgres_url, [each for each in workloads if each.on_postgres]),
    ]
    for number in range(processes):
        for url, group in groups:
            if url is None or not group:
                continue
            progress(f"processes {number + 1} of {processes}: {url.partition(':')[0]}")
            with players(random.sample(names, len(names)), url, times.absent) as ready:
                for drive in drives:
                    _play(ready, drive, group, rounds, times)
                if DISABLED in names and url == SQLITE_URL:
                    times.paired += _pair(ready, rounds)
    return times


def _play(
    ready: list[Player], drive: str, workloads: list[Workload], rounds: int, times: Times
) -> None:
    fit = {workload: _fit(ready, drive, workload, times) for workload in workloads}
    for _ in range(rounds):
        for workload, taking_part in fit.items():
            _round(taking_part, drive, workload, times)


def _pair(ready: list[Player], rounds: int) -> list[float]:
    pairs = rounds * _PAIRS_PER_ROUND
    return [
        float(player.child.ask("pair", workload="select", pairs=pairs))
        for player in ready
        if player.name == BARE
    ]


def _fit(ready: list[Player], drive: str, workload: Workload, times: Times) -> list[Player]:
    """Warm everybody up, and return those that work and record; without bare, nobody."""
    fit = []
    for player in ready:
        try:
            player.warm_up(drive, workload)
        except (ChildError, RuntimeError, OSError) as error:
            times.absent[f"{player.name}: {drive} {workload.name}"] = str(error)
        else:
            fit.append(player)
    return fit if any(player.name == BARE for player in fit) else []


def _round(taking_part: list[Player], drive: str, workload: Workload, times: Times) -> None:
    seconds = {
        player.name: player.play(drive, workload, workload.requests)
        for player in random.sample(taking_part, len(taking_part))
    }
    for name, each in seconds.items():
        times.seconds[drive, workload.name, name].append(each)
        times.ratios[drive, workload.name, name].append(each / seconds[BARE])
