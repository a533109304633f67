"""Each test on a database of its own, which takes the place of the application's."""

import pytest
from httpx import ASGITransport, AsyncClient
from shop import Base, app, get_db
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def make_session(anyio_backend, tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


@pytest.fixture
async def session(make_session):
    async with make_session() as session:
        yield session


@pytest.fixture
async def client(make_session):
    async def get_test_db():
        async with make_session() as session:
            yield session

    app.dependency_overrides[get_db] = get_test_db
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client
    app.dependency_overrides.clear()
