"""The same ways to end a session's work, for an AsyncSession.

SQLAlchemy's asyncio part is imported late: it needs greenlet, which SQLAlchemy 2.1 does not bring.
"""

from contextvars import ContextVar
from functools import wraps
from uuid import UUID, uuid4

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request

from demo_app.units_of_work import Wiring

# ruff: noqa: D103, N803
# mypy: disable-error-code="no-untyped-def"


def http_middleware(AsyncSessionLocal):
    class SessionMiddleware(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            db = request.state.db = AsyncSessionLocal()
            try:
                response = await call_next(request)
                await db.commit()
            except:
                await db.rollback()
                raise
            finally:
                await db.close()
            return response

    async def get_db(request: Request):
        return request.state.db

    return Wiring(get_db, middleware=SessionMiddleware)


def middleware_commit(AsyncSessionLocal):
    class SessionMiddleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                return await self.app(scope, receive, send)
            db = AsyncSessionLocal()
            scope.setdefault("state", {})["db"] = db
            try:
                await self.app(scope, receive, send)
                await db.commit()
            except:
                await db.rollback()
                raise
            finally:
                await db.close()

    async def get_db(request: Request):
        return request.state.db

    return Wiring(get_db, middleware=SessionMiddleware)


def response_commit(AsyncSessionLocal):
    class SessionMiddleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                return await self.app(scope, receive, send)
            db = AsyncSessionLocal()
            scope.setdefault("state", {})["db"] = db

            async def end_work_and_send(message):
                if message["type"] == "http.response.start":
                    if message["status"] < 400:
                        await db.commit()
                    else:
                        await db.rollback()
                await send(message)

            try:
                await self.app(scope, receive, end_work_and_send)
            except:
                await db.rollback()
                raise
            finally:
                await db.close()

    async def get_db(request: Request):
        return request.state.db

    return Wiring(get_db, middleware=SessionMiddleware)


def scoped(AsyncSessionLocal):
    from sqlalchemy.ext.asyncio import async_scoped_session

    request_id: ContextVar[UUID] = ContextVar("request_id")
    registry = async_scoped_session(AsyncSessionLocal, request_id.get)

    class SessionMiddleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                return await self.app(scope, receive, send)
            request_id.set(uuid4())
            try:
                await self.app(scope, receive, send)
                await registry.commit()
            except:
                await registry.rollback()
                raise
            finally:
                await registry.remove()

    async def get_db():
        return registry()

    return Wiring(get_db, middleware=SessionMiddleware)


def transactional(AsyncSessionLocal):
    async def get_db():
        async with AsyncSessionLocal(expire_on_commit=False) as db:
            yield db

    def transactional(handler):
        @wraps(handler)
        async def in_transaction(db, **arguments):
            try:
                answer = await handler(db=db, **arguments)
                await db.commit()
            except:
                await db.rollback()
                raise
            return answer

        return in_transaction

    return Wiring(get_db, decorator=transactional)
