"""The five quiz questions, each with what was measured for or against its printed answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .measure import CellResult
from .quiz_measure import FormResult, QuizMeasures
from .scenarios import SCENARIOS_BY_KEY
from .verdict import PROBLEMS

Cells = Mapping[tuple[str, str], CellResult]

HOLDS = "holds"
LIMITED = "holds, with a limit"
CONTRADICTED = "contradicted"
NOT_MEASURED = "not measured"

_ERROR_SCENARIOS = ("http-exception", "unhandled", "bad-response")
_QUESTION_5 = {"A": "full", "B": "commit-unhandled", "C": "close-only", "D": "rollback-no-finally"}


@dataclass(frozen=True, slots=True)
class Question:
    """One question, its printed answer, and whether it stands up to what was measured."""

    number: int
    asks: str
    printed: str
    verdict: str
    evidence: tuple[str, ...]


def answer_quiz(cells: Cells, measures: QuizMeasures) -> list[Question]:
    """Return the five questions in order; `cells` holds one result for each measured cell."""
    return [
        _purpose(cells),
        _declaration(measures.forms),
        _listing(measures),
        _missing_finally(cells),
        _best_of_four(cells),
    ]


def _purpose(cells: Cells) -> Question:
    asks = "What is a get_db function for?"
    printed = "A: to create a session for each request and close it safely"
    sums = {variant: _sum_sessions(cells, variant) for variant in _variants(cells)}
    if not sums:
        return _unmeasured(1, asks, printed, "any variant and a scenario other than burst")
    whole = [_closed(key, each) for key, each in sums.items() if each[0] == each[1]]
    partly = [_closed(key, each) for key, each in sums.items() if each[0] > each[1]]
    evidence = [f"Closed every session they opened: {', '.join(whole)}."] if whole else []
    if partly:
        evidence.append(f"Closed only some of them: {', '.join(partly)}.")
    evidence += _reopened(cells)
    any_closed = any(closed for _, closed in sums.values())
    verdict = HOLDS if not partly else LIMITED if any_closed else CONTRADICTED
    return Question(1, asks, printed, verdict, tuple(evidence))


def _closed(variant: str, opened_and_closed: tuple[int, int]) -> str:
    opened, closed = opened_and_closed
    return f"{variant} {closed} of {opened}"


def _reopened(cells: Cells) -> list[str]:
    """Tell of sessions that were closed and opened themselves again when they were read through."""
    variants = [
        variant
        for (variant, scenario), cell in cells.items()
        if scenario == "stream" and "close" in cell.proven.calls[0] and not cell.proven.closed
    ]
    return variants and [
        "In stream, the session was closed before the stream read through it: it opened itself "
        f"again, and nobody closed it ({', '.join(variants)})."
    ]


def _declaration(forms: tuple[FormResult, ...]) -> Question:
    served = [form.form for form in forms if form.status == 200 and form.opened == form.closed]
    return Question(
        2,
        "Which way of declaring the session in a route is right?",
        "D: db: Session = Depends(get_db)",
        HOLDS if served == ["D"] else CONTRADICTED,
        tuple(f"{_FORM_WORDS[form.form]}: {_form_words(form)}." for form in forms),
    )


_FORM_WORDS = {
    "A": "A, db = Depends(Session)",
    "B": "B, db: get_db = Session()",
    "C": "C, db: Session = get_db()",
    "D": "D, db: Session = Depends(get_db)",
}


def _form_words(form: FormResult) -> str:
    if form.refused is not None:
        return f"FastAPI refuses to declare the route ({form.refused})"
    sessions = f"{form.opened} opened and {form.closed} closed" if form.opened else "no session"
    return f"a query is answered {form.status}, {sessions}"


def _listing(measures: QuizMeasures) -> Question:
    listed, stored = measures.items_listed, measures.items_stored
    return Question(
        3,
        "What does a route that returns db.query(Item).all() answer?",
        "C: a list of all items in the database",
        HOLDS if listed == stored else CONTRADICTED,
        (f"The route listed {listed} items, and the database holds {stored}.",),
    )


def _missing_finally(cells: Cells) -> Question:
    asks = "What is wrong with a get_db that closes after the yield, with no finally?"
    printed = "B: the session may stay open when an exception comes"
    failing = [cells[key] for key in _keys("no-finally", _ERROR_SCENARIOS) if key in cells]
    if not failing:
        return _unmeasured(4, asks, printed, f"no-finally and {' or '.join(_ERROR_SCENARIOS)}")
    left = [cell for cell in failing if cell.proven.closed < cell.proven.opened]
    evidence = [
        f"{cell.scenario}: {cell.proven.closed} of {cell.proven.opened} closed, "
        f"{cell.proven.out_right_after} connection out right after, "
        f"{cell.proven.out_after_collection} after gc.collect()."
        for cell in failing
    ]
    good = cells.get(("no-finally", "success"))
    if good is not None:
        evidence.append(
            f"Without an exception (success): {good.proven.closed} of {good.proven.opened} closed."
        )
    return Question(4, asks, printed, HOLDS if left else CONTRADICTED, tuple(evidence))


def _best_of_four(cells: Cells) -> Question:
    asks = "Which get_db commits only when nothing went wrong, and always closes?"
    printed = "A: try / yield / commit, except / rollback / raise, finally / close"
    measured = {letter: _damage(cells, key) for letter, key in _QUESTION_5.items()}
    counts = {letter: bad for letter, (bad, total) in measured.items() if total}
    if len(counts) < len(_QUESTION_5):
        return _unmeasured(5, asks, printed, ", ".join(_QUESTION_5.values()))
    best = all(counts["A"] < count for letter, count in counts.items() if letter != "A")
    evidence = [
        f"Scenarios that went wrong, of {measured['A'][1]}: "
        + ", ".join(f"{letter} ({_QUESTION_5[letter]}) {count}" for letter, count in counts.items())
        + "."
    ]
    limits = [*_limits(cells, "full"), *_function_scope(cells)]
    verdict = (LIMITED if limits else HOLDS) if best else CONTRADICTED
    return Question(5, asks, printed, verdict, (*evidence, *limits))


def _limits(cells: Cells, variant: str) -> list[str]:
    """Return what still goes wrong with the best of four, by what went wrong."""
    went_wrong: dict[tuple[str, bool], list[str]] = {}
    for (key, scenario), cell in cells.items():
        if key == variant and _is_damage(cell):
            whose = SCENARIOS_BY_KEY[scenario].handlers_doing
            went_wrong.setdefault((cell.problems[0], whose), []).append(scenario)
    return [
        f"Even with A, in {' and '.join(scenarios)}, {PROBLEMS[problem]}"
        + (": the handler's own doing." if handlers_doing else ".")
        for (problem, handlers_doing), scenarios in went_wrong.items()
    ]


def _function_scope(cells: Cells) -> list[str]:
    told = [cells.get((variant, "commit-fails")) for variant in ("full", "recommended")]
    full, recommended = told
    if full is None or recommended is None:
        return []
    return [
        f"When the commit fails, the client of A is told {full.proven.status}, the client of "
        f"the recommended variant {recommended.proven.status}."
    ]


def _damage(cells: Cells, variant: str) -> tuple[int, int]:
    own = [cell for (key, _), cell in cells.items() if key == variant]
    return sum(_is_damage(cell) for cell in own), len(own)


def _is_damage(cell: CellResult) -> bool:
    return any(problem != "late" for problem in cell.problems)


def _sum_sessions(cells: Cells, variant: str) -> tuple[int, int]:
    own = [cell for (key, _), cell in cells.items() if key == variant and cell.burst is None]
    return sum(cell.proven.opened for cell in own), sum(cell.proven.closed for cell in own)


def _variants(cells: Cells) -> list[str]:
    return list(dict.fromkeys(key for (key, _), cell in cells.items() if cell.burst is None))


def _keys(variant: str, scenarios: Iterable[str]) -> list[tuple[str, str]]:
    return [(variant, scenario) for scenario in scenarios]


def _unmeasured(number: int, asks: str, printed: str, needs: str) -> Question:
    return Question(number, asks, printed, NOT_MEASURED, (f"This run left it out: needs {needs}.",))
