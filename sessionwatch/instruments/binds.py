"""What a session is bound to."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session


def binds_by_mapper(session: Session) -> dict[Any, Any]:
    """Return what `Session(binds=...)` was given; private before SQLAlchemy 2.1."""
    binds: dict[Any, Any] = getattr(session, "binds", None) or getattr(
        session, "_Session__binds", {}
    )
    return binds
