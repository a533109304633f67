"""Every bound of the settings is exceeded tenfold, by real requests, and no count is lost."""

from __future__ import annotations

import asyncio
import dataclasses
import gc

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, insert, literal, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from sessionwatch import SessionWatchMiddleware, Settings
from sessionwatch.instruments.session_record import record_of

BOUND = 5
MANY = 10 * BOUND
ONE = select(1)
BOUNDS = [
    field.name
    for field in dataclasses.fields(Settings)
    if field.name.startswith("max_") or field.name.endswith("_length")
]


class Shop:
    """An application that holds sessions open in `held`, and how it is asked."""

    def __init__(self, watch, engine, models):
        self.watch = watch
        self.create_session = sessionmaker(engine)
        self.models = models
        self.held = []
        self.app = FastAPI()
        self.app.add_middleware(SessionWatchMiddleware, watch=watch)

    def hold(self):
        session = self.create_session()
        session.execute(ONE)
        self.held.append(session)
        return session

    def route(self, path, handle):
        self.app.add_api_route(path, handle)

    async def ask(self, *paths):
        """Send requests all at once; each must be answered as without a watch."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            responses = await asyncio.gather(*map(client.get, paths))
        assert [response.status_code for response in responses] == [200] * len(paths)
        assert [response.json() for response in responses] == ["done"] * len(paths)

    def close(self, number=None):
        for session in self.held[:number]:
            session.close()
        del self.held[:number]


@pytest.fixture
def make_shop(make_watch, make_engine, models):
    """Open a shop whose watch has these settings; what it holds is closed after the test."""
    shops = []

    def make(**settings):
        watch = make_watch(Settings(**settings))
        shops.append(Shop(watch, make_engine(poolclass=NullPool), models))
        return shops[-1]

    yield make
    for shop in shops:
        shop.close()


async def exceed_max_findings(shop):
    """As many routes, each with a leak of its own."""

    async def leak():
        shop.hold()
        return "done"

    for number in range(MANY):
        shop.route(f"/{number}", leak)
    await shop.ask(*(f"/{number}" for number in range(MANY)))
    return len(shop.watch.snapshot().findings)


async def exceed_max_routes(shop):
    async def read():
        with shop.create_session() as session:
            session.execute(ONE)
        return "done"

    for number in range(MANY):
        shop.route(f"/{number}", read)
    await shop.ask(*(f"/{number}" for number in range(MANY)))
    routes = shop.watch.snapshot().routes
    assert routes.pop("(other)").owners == MANY - BOUND
    return len(routes)


async def exceed_max_open_sessions(shop):
    async def leak():
        shop.hold()
        return "done"

    shop.route("/", leak)
    await shop.ask(*["/"] * MANY)
    (finding,) = shop.watch.snapshot().findings
    assert finding["count"] == MANY
    return len(shop.watch.snapshot().open_sessions)


async def exceed_max_owner_sessions(shop):
    async def leak():
        for _ in range(MANY):
            shop.hold()
        return "done"

    shop.route("/", leak)
    await shop.ask("/")
    return len(shop.watch.snapshot().open_sessions)


async def exceed_max_owners(shop):
    seen, all_there = [], asyncio.Event()

    async def wait():
        with shop.create_session() as session:
            session.execute(ONE)
            seen.append(shop.watch.active_owners())
            if len(seen) == MANY:
                assert len(shop.watch.snapshot().open_sessions) == BOUND
                all_there.set()
            await all_there.wait()
        return "done"

    shop.route("/", wait)
    await shop.ask(*["/"] * MANY)
    return max(seen)


async def exceed_max_stacks(shop):
    """As many lines of code that open a session, as a plugin or a template may make up."""
    for number in range(MANY):
        made = {"shop": shop}
        source = "async def leak():\n    shop.hold()\n    return 'done'\n"
        exec(compile(source, f"/made/{number}.py", "exec"), made)
        shop.route(f"/{number}", made["leak"])
    await shop.ask(*(f"/{number}" for number in range(MANY)))
    shown = [bool(session["stack"]) for session in shop.watch.snapshot().open_sessions]
    assert len(shown) == MANY
    assert len({each["opened_at"]["file"] for each in shop.watch.snapshot().findings}) == 1
    return sum(shown)


async def exceed_max_transactions(shop):
    kept = []

    async def commit_often():
        with shop.create_session() as session:
            for number in range(MANY):
                session.execute(insert(shop.models.Item).values(name=str(number)))
                session.commit()
            kept.append(len(record_of(session).transactions))
        return "done"

    shop.route("/", commit_often)
    await shop.ask("/")
    assert shop.watch.snapshot().totals.counts.committed == MANY
    return kept[0]


async def exceed_max_timelines(shop):
    async def write():
        with shop.create_session() as session:
            session.execute(insert(shop.models.Item).values(name="lamp"))
            session.rollback()
        return "done"

    shop.route("/", write)
    await shop.ask(*["/"] * MANY)
    return len(shop.watch.timelines())


async def exceed_max_engine_urls(shop):
    async def connect(number: int):
        create_engine(f"sqlite:////nowhere/{number}.db")
        return "done"

    shop.route("/{number}", connect)
    await shop.ask(*(f"/{number}" for number in range(MANY)))
    assert shop.watch.snapshot().findings == []
    return len(shop.watch.engines_made)


async def exceed_statement_length(shop):
    shown = []

    async def leak():
        shop.hold().execute(select(literal(1).label("a" * MANY)))
        shown.extend(each["last_statement"] for each in shop.watch.snapshot().open_sessions)
        return "done"

    shop.route("/", leak)
    await shop.ask("/")
    kept = record_of(shop.held[0]).statement
    assert shown == [kept] == ["SELEC…"]
    return len(kept) - 1


@pytest.mark.parametrize("bound", BOUNDS)
def test_bound_holds_and_nothing_is_lost(make_shop, read, bound):
    exceed = globals()[f"exceed_{bound}"]
    shop = make_shop(**{bound: BOUND})
    kept = asyncio.run(exceed(shop))
    assert kept == BOUND
    seen = read(shop.watch)
    dropped = {name: number for name, number in seen.snapshot.dropped.items() if number}
    expected = {bound.removeprefix("max_"): MANY - BOUND} if bound.startswith("max_") else {}
    assert dropped == expected
    opened = seen.totals["opened"]
    assert seen.totals["open"] == len(shop.held)
    shop.close()
    counts = seen.counts("opened", "closed", "open", "collected")
    assert counts == {"opened": opened, "closed": opened, "open": 0, "collected": 0}
    assert seen.totals["checkouts"] == seen.totals["checkins"] == opened or bound.endswith(
        ("transactions", "urls")
    )
    assert seen.snapshot.open_sessions == []


def test_every_bound_tells_what_it_kept_out(watch):
    told = {f"max_{name}" for name in watch.snapshot().dropped}
    assert told == {bound for bound in BOUNDS if bound.startswith("max_")}
    assert set(watch.snapshot().dropped.values()) == {0}


@pytest.mark.parametrize("first", [0, MANY // 2, MANY])
def test_sessions_that_are_not_followed_close_as_they_like(make_shop, read, first):
    """They count as they stood when their owner ended, until they close or are collected."""
    shop = make_shop(max_open_sessions=BOUND)
    asyncio.run(exceed_max_open_sessions(shop))
    seen = read(shop.watch)
    shop.close(first)
    assert seen.counts("opened", "closed", "open") == {
        "opened": MANY,
        "closed": first,
        "open": MANY - first,
    }
    shop.held.clear()
    gc.collect()
    assert seen.counts("closed", "collected", "open", "checkouts", "checkins") == {
        "closed": first,
        "collected": MANY - first,
        "open": 0,
        "checkouts": MANY,
        "checkins": MANY,
    }
    assert seen.codes == ["SW101"] * MANY


def test_work_of_a_session_that_is_not_followed_counts_when_it_closes(make_shop, read, clock):
    shop = make_shop(max_open_sessions=1)
    seen = read(shop.watch)
    for _ in range(3):
        with shop.watch.owner("job"):
            session = shop.hold()
            session.add(shop.models.Item(name=str(len(shop.held))))
            session.flush()
            clock.advance(1)
        session.commit()
        session.execute(ONE)
        clock.advance(1)
    assert seen.counts("open", "committed") == {"open": 3, "committed": 1}
    shop.close()
    assert seen.counts("opened", "closed", "committed", "writes", "statements") == {
        "opened": 3,
        "closed": 3,
        "committed": 3,
        "writes": 3,
        "statements": 9,
    }
    assert seen.totals["held_seconds"] == seen.pool["held_seconds"]


def test_session_that_is_not_followed_is_used_again(make_shop, read):
    shop = make_shop(max_open_sessions=1)
    seen = read(shop.watch)
    for _ in range(2):
        with shop.watch.owner("job"):
            shop.hold()
    for _ in range(3):
        shop.held[1].close()
        assert seen.counts("opened", "closed", "open") == {"opened": 2, "closed": 1, "open": 1}
        shop.held[1].execute(ONE)
        assert seen.counts("opened", "closed", "open") == {"opened": 2, "closed": 0, "open": 2}


def test_connections_without_a_session_are_bounded_too(make_shop, read):
    shop = make_shop(max_open_sessions=BOUND)
    engine, connections = shop.create_session.kw["bind"], []
    for _ in range(MANY):
        with shop.watch.owner("job"):
            connections.append(engine.connect())
    seen = read(shop.watch)
    assert seen.snapshot.dropped["open_sessions"] == MANY - BOUND
    assert seen.counts() == {"checkouts": MANY}
    for connection in connections:
        connection.close()
    assert seen.counts() == {"checkouts": MANY, "checkins": MANY}
    assert seen.codes == ["SW101"] * MANY


@pytest.mark.parametrize("inside", ["process", "job"])
def test_sessions_of_one_owner_are_bounded(make_shop, read, inside):
    """A script, or a WebSocket that lives for days; the totals are right all the time."""
    shop = make_shop(max_owner_sessions=BOUND)
    seen = read(shop.watch)

    def work():
        for number in range(1, MANY + 1):
            shop.hold()
            assert seen.counts("open") == {"open": number}
        assert len(seen.snapshot.open_sessions) == BOUND
        shop.close(MANY // 2)
        assert seen.counts("closed", "open") == {"closed": MANY // 2, "open": MANY // 2}
        shop.held[0].close()
        shop.held[0].execute(ONE)
        assert seen.counts("closed", "open") == {"closed": MANY // 2, "open": MANY // 2}
        shop.held.clear()
        gc.collect()
        return seen.counts("opened", "closed", "collected", "open", "checkouts", "checkins")

    if inside == "process":
        counts = work()
    else:
        with shop.watch.owner("job"):
            counts = work()
    assert set(seen.codes) == {"SW103"}
    assert seen.totals["opened"] == MANY
    assert seen.totals["owners"] == (inside == "job")
    if inside == "process":
        assert counts == seen.counts(*counts)
    assert seen.counts("closed", "collected", "open", "checkouts", "checkins") == {
        "closed": MANY // 2,
        "collected": MANY // 2,
        "open": 0,
        "checkouts": MANY + 1,
        "checkins": MANY + 1,
    }


def test_sessions_that_come_one_after_the_other_are_no_crowd(make_shop, read):
    shop = make_shop(max_owner_sessions=BOUND)
    for _ in range(MANY):
        with shop.create_session() as session:
            session.execute(ONE)
    del session
    assert read(shop.watch).snapshot.dropped["owner_sessions"] == 0
    assert read(shop.watch).counts("opened", "closed") == {"opened": MANY, "closed": MANY}


def test_lost_writes_of_the_sessions_that_are_kept_are_still_found(make_shop, read):
    shop = make_shop(max_owner_sessions=BOUND)
    with shop.watch.owner("job"):
        for number in range(MANY):
            with shop.create_session() as session:
                session.add(shop.models.Item(name=str(number)))
                session.flush()
    seen = read(shop.watch)
    assert seen.codes == ["SW203"] * BOUND
    assert seen.counts("opened", "closed", "discarded") == dict.fromkeys(
        ("opened", "closed", "discarded"), MANY
    )


@pytest.mark.parametrize("ends", ["closes", "leaks", "loses writes"])
def test_owners_without_room_wait_for_no_child_task_and_find_no_fault_for_it(make_shop, read, ends):
    """Their sessions are judged one by one, when the tasks that hold them are done."""
    shop = make_shop(max_owners=BOUND)
    seen, tasks, go_on = read(shop.watch), [], asyncio.Event()

    async def work():
        session = shop.hold()
        if ends == "loses writes":
            session.add(shop.models.Item(name="lost"))
            await go_on.wait()
            session.flush()
        await go_on.wait()
        if ends != "leaks":
            session.close()

    async def start():
        tasks.append(asyncio.create_task(work()))
        await asyncio.sleep(0)
        return "done"

    async def drive():
        shop.route("/", start)
        for _ in range(MANY if ends != "loses writes" else 1):
            await shop.ask("/")
        assert seen.codes == []
        assert shop.watch.active_owners() <= BOUND
        assert len(seen.snapshot.open_sessions) == len(tasks)
        go_on.set()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)

    asyncio.run(drive())
    expected = {"closes": [], "leaks": ["SW101"] * MANY, "loses writes": ["SW203"]}
    assert seen.codes == expected[ends]
    assert seen.totals["owners"] == len(tasks)
    assert seen.totals["open"] == (MANY if ends == "leaks" else 0)


def test_timer_of_the_grace_is_put_off_when_its_owner_is_judged(make_shop):
    shop = make_shop(child_task_grace_seconds=3600)

    async def work():
        with shop.create_session() as session:
            session.execute(ONE)
            await asyncio.sleep(0)

    async def drive():
        loop = asyncio.get_running_loop()
        for _ in range(MANY):
            with shop.watch.owner("job"):
                task = asyncio.create_task(work())
                await asyncio.sleep(0)
            await task
            await asyncio.sleep(0)
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []

    asyncio.run(drive())


def test_full_findings_are_told_of_once(make_shop, read, log):
    shop = make_shop(max_findings=BOUND)
    asyncio.run(exceed_max_findings(shop))
    about_room = [each.getMessage() for each in log.records if "no room" in each.getMessage()]
    assert about_room == [
        "there is no room for more than 5 different findings: others are only counted, at "
        "/debug/sessions under `dropped`; max_findings makes room"
    ]
    assert len(log.records) == BOUND + 1


def test_routes_under_way_keep_to_the_bound_too(make_shop, read):
    shop = make_shop(max_routes=BOUND, max_open_sessions=MANY)
    for number in range(MANY):
        with shop.watch.owner(f"job {number}"):
            shop.hold()
    routes = read(shop.watch).snapshot.routes
    assert len(routes) == BOUND + 1
    assert routes["(other)"].counts.open == MANY - BOUND


def test_equal_stacks_are_kept_once(make_shop):
    shop = make_shop(max_stacks=2)
    for _ in range(MANY):
        with shop.watch.owner("job"):
            shop.hold()
    assert len({id(record_of(session).opened_at) for session in shop.held}) == 1
    shop.close()
    shop.held.clear()
    with shop.watch.owner("job"):
        session = Session(shop.create_session.kw["bind"])
        session.execute(ONE)
    (shown,) = shop.watch.snapshot().open_sessions
    assert shown["opened_at"]["function"] == "test_equal_stacks_are_kept_once"
    session.close()
    assert shop.watch.snapshot().dropped["stacks"] == 0
