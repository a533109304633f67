"""The same ways to write the dependency, for an AsyncSession."""

from dataclasses import replace

from demo_app.async_units_of_work import (
    http_middleware,
    middleware_commit,
    response_commit,
    scoped,
    transactional,
)
from demo_app.variants import VARIANTS, Variant

# ruff: noqa: D103, N803
# mypy: disable-error-code="no-untyped-def"


def no_finally(AsyncSessionLocal):
    async def get_db():
        db = AsyncSessionLocal()
        yield db
        await db.close()

    return get_db


def full(AsyncSessionLocal):
    async def get_db():
        db = AsyncSessionLocal()
        try:
            yield db
            await db.commit()
        except:
            await db.rollback()
            raise
        finally:
            await db.close()

    return get_db


def commit_unhandled(AsyncSessionLocal):
    async def get_db():
        db = AsyncSessionLocal()
        yield db
        await db.commit()
        await db.close()

    return get_db


def close_only(AsyncSessionLocal):
    async def get_db():
        db = AsyncSessionLocal()
        try:
            yield db
        finally:
            await db.close()

    return get_db


def rollback_no_finally(AsyncSessionLocal):
    async def get_db():
        db = AsyncSessionLocal()
        yield db
        await db.rollback()
        await db.close()

    return get_db


def no_yield(AsyncSessionLocal):
    async def get_db():
        return AsyncSessionLocal()

    return get_db


def begin(AsyncSessionLocal):
    async def get_db():
        async with AsyncSessionLocal.begin() as db:
            yield db

    return get_db


def with_session(AsyncSessionLocal):
    async def get_db():
        async with AsyncSessionLocal() as db:
            yield db

    return get_db


_BUILDERS = {
    "no-finally": no_finally,
    "full": full,
    "commit-unhandled": commit_unhandled,
    "close-only": close_only,
    "rollback-no-finally": rollback_no_finally,
    "no-yield": no_yield,
    "begin": begin,
    "with-session": with_session,
    "http-middleware": http_middleware,
    "middleware-commit": middleware_commit,
    "scoped-session": scoped,
    "response-commit": response_commit,
    "decorator": transactional,
    "recommended": full,
}


def _awaited(variant: Variant) -> Variant:
    line = variant.faulty_line
    if line.startswith(("db.", "registry.")):
        line = f"await {line}"
    elif line.startswith("with "):
        line = f"async {line}"
    return replace(
        variant,
        build=_BUILDERS[variant.key],
        title=variant.title.replace("with Session", "async with AsyncSession"),
        faulty_line=line.replace("SessionLocal", "AsyncSessionLocal"),
        is_async=True,
    )


ASYNC_VARIANTS: tuple[Variant, ...] = tuple(_awaited(variant) for variant in VARIANTS)
