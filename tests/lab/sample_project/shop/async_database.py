"""The async half."""

from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine("sqlite+aiosqlite:///production.db")
session_factory = async_sessionmaker(engine, expire_on_commit=False)


async def get_session():
    async with session_factory() as session:
        try:
            yield session
            await session.commit()
        except Exception:
            await session.rollback()
            raise


async def open_session() -> AsyncSession:
    return session_factory()


@asynccontextmanager
async def session_scope():
    async with session_factory.begin() as session:
        yield session


class SessionContext:
    async def __aenter__(self):
        self.session = session_factory()
        return self.session

    async def __aexit__(self, kind, error, traceback):
        await self.session.close()
