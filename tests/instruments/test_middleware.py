"""The middleware, under real applications driven over ASGI: whose sessions are whose, and when."""

import asyncio
import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router

from sessionwatch.instruments.attribution import current_owner
from sessionwatch.instruments.middleware import SessionWatchMiddleware
from sessionwatch.watch import SessionWatch


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


@pytest.fixture
def engine(tmp_path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'notes.db'}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def watch() -> Iterator[SessionWatch]:
    with SessionWatch() as watch:
        yield watch


@pytest.fixture
def create_session(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine)


@pytest.fixture
def get_db(create_session):
    def get_db():
        session = create_session()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    return get_db


@pytest.fixture
def get_db_async(create_session):
    async def get_db_async():
        with create_session() as session:
            yield session

    return get_db_async


def request(app, method: str, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path)

    return asyncio.run(send())


def route_counts(watch: SessionWatch) -> dict[str, tuple[int, int, int]]:
    routes = watch.snapshot().to_dict()["routes"]
    return {
        name: (numbers["owners"], numbers["opened"], numbers["closed"])
        for name, numbers in routes.items()
        if name != "process"
    }


def codes(watch: SessionWatch) -> list[str]:
    return [finding["code"] for finding in watch.snapshot().findings]


def watched(app: FastAPI | Starlette, watch: SessionWatch) -> FastAPI | Starlette:
    app.add_middleware(SessionWatchMiddleware, watch=watch)
    return app


class TestRoutes:
    def test_sync_dependency_and_handler_in_threads(self, watch, get_db):
        app = FastAPI()

        @app.get("/notes/{number}")
        def read(number: int, session: Session = Depends(get_db)):
            return session.scalar(text("select 1"))

        assert request(watched(app, watch), "GET", "/notes/3").status_code == 200
        assert route_counts(watch) == {"GET /notes/{number}": (1, 1, 1)}

    def test_async_dependency_and_handler(self, watch, get_db_async):
        app = FastAPI()

        @app.get("/notes/{number}")
        async def read(number: int, session: Session = Depends(get_db_async)):
            return session.scalar(text("select 1"))

        assert request(watched(app, watch), "GET", "/notes/3").status_code == 200
        assert route_counts(watch) == {"GET /notes/{number}": (1, 1, 1)}

    def test_included_routers_keep_their_prefixes(self, watch, get_db):
        app, outer, inner = FastAPI(), APIRouter(prefix="/outer"), APIRouter(prefix="/inner")

        @inner.get("/{number}")
        def read(number: int, session: Session = Depends(get_db)):
            return number

        outer.include_router(inner)
        app.include_router(outer, prefix="/v1")
        assert request(watched(app, watch), "GET", "/v1/outer/inner/3").status_code == 200
        assert list(route_counts(watch)) == ["GET /v1/outer/inner/{number}"]

    def test_mounted_applications_keep_where_they_are_mounted(self, watch, get_db, create_session):
        def plain(request: Request) -> PlainTextResponse:
            with create_session():
                return PlainTextResponse("plain")

        inner = FastAPI()

        @inner.get("/notes/{number}")
        def read(number: int, session: Session = Depends(get_db)):
            return number

        app = FastAPI()
        app.mount("/inner", inner)
        app.mount("/plain", Router([Route("/{word}", plain)]))
        watched(app, watch)
        assert request(app, "GET", "/inner/notes/3").status_code == 200
        assert request(app, "GET", "/plain/word").status_code == 200
        assert route_counts(watch) == {
            "GET /inner/notes/{number}": (1, 1, 1),
            "GET /plain/{word}": (1, 1, 1),
        }

    def test_what_a_mount_matched_is_no_part_of_the_route(self, watch, get_db, create_session):
        def plain(request: Request) -> PlainTextResponse:
            with create_session():
                return PlainTextResponse("plain")

        def beneath(request: Request) -> PlainTextResponse:
            return plain(request)

        inner = FastAPI()

        @inner.get("/notes/{tenant}")
        def read(tenant: int, session: Session = Depends(get_db)):
            return tenant

        app = FastAPI()
        app.root_path = "/v1"
        app.mount("/tenants/{tenant}", inner)
        deep = Mount("/in/{town}", routes=[Route("/{word}", plain)])
        twice = Mount("/twice/{word}", routes=[Route("/{word}", beneath)])
        app.mount("/shops/{shop:int}", Starlette(routes=[Host("{any}", Router([deep, twice]))]))
        watched(app, watch)
        for tenant in ("ada", "bob"):
            assert request(app, "GET", f"/v1/tenants/{tenant}/notes/3").status_code == 200
        assert request(app, "GET", "/v1/shops/7/in/rome/word").status_code == 200
        assert request(app, "GET", "/v1/shops/7/twice/rome/word").status_code == 200
        counts = route_counts(watch)
        assert counts.pop("GET /tenants/{tenant}/notes/{tenant}") == (2, 2, 2)
        assert counts.pop("GET /shops/{shop}/in/{town}/{word}") == (1, 1, 1)
        (twice_label,) = counts  # Starlette before 1.0 leaves no route in the scope
        assert twice_label.startswith("GET /shops/{shop}/twice/{word}")
        assert "rome" not in twice_label

    def test_what_a_mount_matched_is_not_told_from_outside_either(self, watch, create_session):
        async def bare(scope, receive, send):
            with create_session():
                await PlainTextResponse("bare")(scope, receive, send)

        app = FastAPI()
        app.root_path = "/v1"
        app.mount("/tenants/{tenant}", bare)
        wrapped = SessionWatchMiddleware(GZipMiddleware(app), watch=watch)
        assert request(wrapped, "GET", "/v1/tenants/ada/anything").status_code == 200
        assert list(route_counts(watch)) == ["GET /v1/tenants/{tenant}"]

    def test_parameters_of_a_mount_are_named_and_make_one_route(self, watch, get_db):
        inner, outer, app = FastAPI(), FastAPI(), FastAPI()

        @inner.get("/notes/{number}")
        def read(number: str, session: Session = Depends(get_db)):
            return number

        outer.mount("/{year:int}/notes", inner)
        app.mount("/of/{tenant}", outer)
        watched(app, watch)
        for tenant, year, number in (("a", 1, "x"), ("b", 2, "y"), ("of", 3, "of"), ("3", 3, "3")):
            path = f"/of/{tenant}/{year}/notes/notes/{number}"
            assert request(app, "GET", path).json() == number
        assert list(route_counts(watch)) == ["GET /of/{tenant}/{year}/notes/notes/{number}"]

    def test_a_watched_application_inside_a_watched_one_is_one_owner(self, watch, get_db):
        inner, app = FastAPI(), FastAPI()

        @inner.get("/notes")
        def read(session: Session = Depends(get_db)):
            return 1

        app.mount("/inner", watched(inner, watch))
        assert request(watched(app, watch), "GET", "/inner/notes").status_code == 200
        assert route_counts(watch) == {"GET /inner/notes": (1, 1, 1)}

    def test_plain_starlette_with_one_endpoint_on_two_routes(self, watch, create_session):
        async def plain(request: Request) -> PlainTextResponse:
            with create_session():
                return PlainTextResponse("plain")

        app = Starlette(
            routes=[Route("/a/{word}", plain), Mount("/m", routes=[Route("/b", plain)])]
        )
        watched(app, watch)
        assert request(app, "GET", "/a/word").status_code == 200
        assert request(app, "GET", "/m/b").status_code == 200
        assert set(route_counts(watch)) == {"GET /a/{word}", "GET /m/b"}

    def test_the_root_path_of_a_server_is_no_part_of_the_route(self, watch, get_db):
        inner, app = FastAPI(), FastAPI()

        @inner.get("/notes")
        def read(session: Session = Depends(get_db)):
            return 1

        app.mount("/inner", inner)
        watched(app, watch)

        async def behind_a_proxy(scope, receive, send):
            await app({**scope, "root_path": "/proxy"}, receive, send)

        assert request(behind_a_proxy, "GET", "/proxy/inner/notes").status_code == 200
        assert list(route_counts(watch)) == ["GET /inner/notes"]

    def test_unrouted_requests_and_those_without_sessions_make_no_route(self, watch):
        app = watched(FastAPI(), watch)
        for number in range(5):
            assert request(app, "GET", f"/nothing/{number}").status_code == 404
        assert route_counts(watch) == {}
        assert watch.active_owners() == 0


class TestWhatBelongsToTheRequest:
    def test_background_task(self, watch, create_session):
        app = FastAPI()

        def later() -> None:
            with create_session.begin() as session:
                session.add(Note(body="later"))

        @app.post("/notes")
        def write(tasks: BackgroundTasks):
            tasks.add_task(later)

        assert request(watched(app, watch), "POST", "/notes").status_code == 200
        assert route_counts(watch) == {"POST /notes": (1, 1, 1)}
        assert codes(watch) == []

    def test_streaming_response(self, watch, create_session):
        app = FastAPI()

        @app.get("/stream")
        def stream():
            def chunks():
                with create_session() as session:
                    for number in range(3):
                        yield str(session.scalar(text(f"select {number}")))

            return StreamingResponse(chunks())

        assert request(watched(app, watch), "GET", "/stream").text == "012"
        assert route_counts(watch) == {"GET /stream": (1, 1, 1)}

    @pytest.mark.parametrize("ours_outside", [True, False])
    def test_base_http_middleware_on_either_side(self, watch, get_db, ours_outside):
        class Other(BaseHTTPMiddleware):
            async def dispatch(self, request, call_next):
                return await call_next(request)

        app = FastAPI()

        @app.get("/notes")
        async def read(session: Session = Depends(get_db)):
            return session.scalar(text("select 1"))

        if ours_outside:
            app.add_middleware(Other)
            watched(app, watch)
        else:
            watched(app, watch)
            app.add_middleware(Other)
        assert request(app, "GET", "/notes").status_code == 200
        assert route_counts(watch) == {"GET /notes": (1, 1, 1)}

    def test_websocket(self, watch, get_db):
        app = FastAPI()

        @app.websocket("/chat/{room}")
        async def chat(websocket: WebSocket, room: str, session: Session = Depends(get_db)):
            await websocket.accept()
            await websocket.send_text(str(session.scalar(text("select 1"))))
            await websocket.close()

        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "path": "/chat/a", "query_string": b"", "headers": []}
        asyncio.run(watched(app, watch)(scope, receive, send))
        assert [message.get("text") for message in sent] == [None, "1", None]
        assert route_counts(watch) == {"WEBSOCKET /chat/{room}": (1, 1, 1)}

    def test_concurrent_requests_do_not_mix(self, watch, create_session):
        app = FastAPI()

        async def use(number: int) -> None:
            with create_session() as session:
                session.scalar(text("select 1"))
                await asyncio.sleep(0)
                session.scalar(text(f"select {number}"))

        @app.get("/one")
        async def one():
            await use(1)

        @app.get("/two")
        async def two():
            await asyncio.gather(use(1), use(2))

        watched(app, watch)

        async def both() -> None:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                await asyncio.gather(*(client.get(path) for path in ["/one", "/two"] * 4))

        asyncio.run(both())
        assert route_counts(watch) == {"GET /one": (4, 4, 4), "GET /two": (4, 8, 8)}

    def test_a_request_made_inside_a_request_is_an_owner_of_its_own(self, watch, get_db):
        app = FastAPI()

        @app.get("/inner")
        def inner(session: Session = Depends(get_db)):
            return 1

        @app.get("/outer")
        async def outer(session: Session = Depends(get_db)):
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://test"
            ) as client:
                return (await client.get("/inner")).json()

        assert request(watched(app, watch), "GET", "/outer").json() == 1
        assert route_counts(watch) == {"GET /inner": (1, 1, 1), "GET /outer": (1, 1, 1)}


class TestHowItEnded:
    @pytest.fixture
    def ended(self, watch, monkeypatch) -> list:
        owners = []
        end = watch.end_owner

        def note(owner):
            owners.append(owner)
            end(owner)

        monkeypatch.setattr(watch, "end_owner", note)
        return owners

    def test_success(self, watch, ended):
        app = FastAPI()

        @app.get("/", status_code=201)
        def answer():
            return 1

        request(watched(app, watch), "GET", "/")
        (owner,) = ended
        assert (owner.status, owner.error, owner.cancelled) == (201, None, False)
        assert 0 < owner.started_ns < owner.response_started_ns < owner.response_completed_ns
        assert owner.response_completed_ns < owner.ended_ns

    def test_http_exception_is_an_answer(self, watch, ended):
        app = FastAPI()

        @app.get("/")
        def answer():
            raise HTTPException(418)

        request(watched(app, watch), "GET", "/")
        assert (ended[0].status, ended[0].error, ended[0].failed) == (418, None, True)

    def test_unhandled_exception_is_noted_by_name_and_leaves_us_as_it_came(self, watch, ended):
        app = FastAPI()

        @app.get("/")
        def answer():
            raise ValueError("secret")

        assert request(watched(app, watch), "GET", "/").status_code == 500
        assert (ended[0].status, ended[0].error) == (500, "ValueError")
        assert not ended[0].raised_after_response

    def test_exception_after_the_whole_response(self, watch, ended):
        app = FastAPI()

        def fail() -> None:
            raise ValueError

        @app.get("/")
        def answer(tasks: BackgroundTasks):
            tasks.add_task(fail)

        assert request(watched(app, watch), "GET", "/").status_code == 200
        assert (ended[0].status, ended[0].error) == (200, "ValueError")
        assert ended[0].raised_after_response
        assert ended[0].acknowledged

    def test_exception_in_mid_stream(self, watch, ended):
        app = FastAPI()

        @app.get("/")
        def answer():
            async def chunks():
                yield b"one"
                raise ValueError

            return StreamingResponse(chunks())

        request(watched(app, watch), "GET", "/")
        assert ended[0].response_started_ns
        assert not ended[0].response_completed_ns
        assert not ended[0].raised_after_response

    def test_cancellation(self, watch, ended, create_session):
        started = asyncio.Event()

        async def wait(scope, receive, send) -> None:
            with create_session() as session:
                session.scalar(text("select 1"))
                started.set()
                await asyncio.Event().wait()

        async def cancel() -> None:
            app = SessionWatchMiddleware(wait, watch)
            scope = {"type": "http", "method": "GET", "path": "/"}
            task = asyncio.create_task(app(scope, None, None))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        assert ended[0].cancelled
        assert ended[0].failed
        assert route_counts(watch) == {"GET (no route)": (1, 1, 1)}

    def test_judged_only_when_a_child_task_has_closed_its_session(self, watch, create_session):
        release, children = asyncio.Event(), []

        async def child() -> None:
            with create_session() as session:
                session.scalar(text("select 1"))
                await release.wait()

        async def spawn(scope, receive, send) -> None:
            children.append(asyncio.create_task(child()))
            await asyncio.sleep(0)

        async def scenario() -> None:
            app = SessionWatchMiddleware(spawn, watch)
            await app({"type": "http", "method": "GET", "path": "/"}, None, None)
            assert watch.active_owners() == 1
            assert codes(watch) == []
            release.set()
            await asyncio.gather(*children)
            await asyncio.sleep(0)

        asyncio.run(scenario())
        assert watch.active_owners() == 0
        assert codes(watch) == []

    def test_a_child_task_that_leaks_is_found_when_it_is_done(self, watch, create_session):
        kept, children = [], []

        async def child() -> None:
            session = create_session()
            session.scalar(text("select 1"))
            kept.append(session)
            await asyncio.sleep(0)

        async def spawn(scope, receive, send) -> None:
            children.append(asyncio.create_task(child()))
            await asyncio.sleep(0)

        async def scenario() -> None:
            app = SessionWatchMiddleware(spawn, watch)
            await app({"type": "http", "method": "GET", "path": "/"}, None, None)
            await asyncio.gather(*children)
            await asyncio.sleep(0)

        asyncio.run(scenario())
        assert codes(watch) == ["SW101"]
        kept[0].close()


class TestManners:
    def test_other_scopes_pass_through(self, watch):
        seen = []

        async def app(scope, receive, send) -> None:
            seen.append(scope)

        scope = {"type": "lifespan"}
        asyncio.run(SessionWatchMiddleware(app, watch)(scope, None, None))
        assert seen == [{"type": "lifespan"}]

    def test_a_watch_that_is_not_running_costs_one_look(self):
        owners = []

        async def app(scope, receive, send) -> None:
            owners.append(current_owner.get())

        scope = {"type": "http", "method": "GET", "path": "/"}
        asyncio.run(SessionWatchMiddleware(app, SessionWatch())(scope, None, None))
        assert owners == [None]
        assert set(scope) == {"type", "method", "path"}

    def test_a_fault_of_ours_never_reaches_the_request(
        self, watch, get_db, monkeypatch, caplog, expects_internal_errors
    ):
        app = FastAPI()

        @app.get("/notes")
        def read(session: Session = Depends(get_db)):
            return 1

        def fail(*arguments):
            raise RuntimeError("ours")

        monkeypatch.setattr(watch._ledger, "end", fail)
        with caplog.at_level(logging.WARNING, "sessionwatch"):
            for _ in range(2):
                assert request(watched(app, watch), "GET", "/notes").json() == 1
                app.middleware_stack = None
        assert watch.snapshot().internal_errors["by_hook"] == {"end_owner": 2}
        assert len(caplog.records) == 1

    def test_the_first_line_of_the_log_says_it_all(self, watch, create_session, caplog):
        app = FastAPI()

        def get_db():
            session = create_session()
            yield session
            session.close()

        @app.get("/notes/{number}")
        def read(number: int, session: Session = Depends(get_db)):
            session.add(Note(body="note"))
            session.flush()
            raise HTTPException(404)

        with caplog.at_level(logging.INFO, "sessionwatch"):
            request(watched(app, watch), "GET", "/notes/3")
        (record,) = caplog.records
        line, *rest = record.getMessage().splitlines()
        assert line.startswith("SW101 session leak: GET /notes/{number} opened a session at ")
        assert (
            " in get_db and never closed it; 1 connection of the pool is still out (1 of " in line
        )
        assert "test_middleware.py:" in line
        assert rest[0] == "  opened at"
        assert rest[-1].startswith("  fix: Close the session on every way out")
