"""What the quiz asks beyond the scenarios: which declarations work, and what `/items` lists."""

from __future__ import annotations

from dataclasses import dataclass

from .channel import Worker
from .client import Client
from .scenarios import FORM_LETTERS, FORM_PATH

_ITEMS_PATH = "/items/all"
_ITEMS_VARIANT = "close-only"


@dataclass(frozen=True, slots=True)
class FormResult:
    """How FastAPI took one way to declare a route with a session."""

    form: str
    refused: str | None
    """The exception's class when the declaration itself failed."""
    status: int | None
    """The status of one request; None when there was no route to ask."""
    opened: int = 0
    closed: int = 0


@dataclass(frozen=True, slots=True)
class QuizMeasures:
    """What was measured for the quiz alone."""

    forms: tuple[FormResult, ...]
    items_listed: int | None
    """How many items question 3's route listed; None when it gave no list."""
    items_stored: int
    """How many the database holds, read by the lab's own driver."""


async def measure_quiz(worker: Worker, client: Client) -> QuizMeasures:
    """Try question 2's four declarations and question 3's route."""
    forms = [await _measure_form(worker, client, form) for form in FORM_LETTERS]
    await worker.ask("open", variant=_ITEMS_VARIANT, is_async=False, pool_size=1, reference=None)
    listed = await client.get_json(_ITEMS_PATH)
    stored = (await worker.ask("collect"))["after"]["items"]
    await worker.ask("close")
    return QuizMeasures(
        forms=tuple(forms),
        items_listed=len(listed) if isinstance(listed, list) else None,
        items_stored=stored,
    )


async def _measure_form(worker: Worker, client: Client, form: str) -> FormResult:
    refused = (await worker.ask("open_form", form=form))["refused"]
    if refused is not None:
        return FormResult(form, refused, None)
    status = await client.get_status(FORM_PATH)
    settled = await worker.ask("settle")
    await worker.ask("close")
    totals = settled["snapshot"]["totals"]
    return FormResult(form, None, status, opened=totals["opened"], closed=totals["closed"])
