"""SW304 external-io-in-transaction: somebody else's server is waited for inside a transaction."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import OutboundCall
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
import http.client
from contextlib import suppress


@app.post("/orders")
def order():
    with SessionLocal.begin() as session:
        session.add(Item(name="hammer"))
        session.flush()
        with suppress(OSError):
            payment = http.client.HTTPConnection("127.0.0.1", 9)
            payment.request("POST", "/charges")
    return {}
"""
_CORRECT = """\
import http.client
from contextlib import suppress


@app.post("/orders")
def order():
    with SessionLocal.begin() as session:
        session.add(Item(name="hammer"))
    with suppress(OSError):
        payment = http.client.HTTPConnection("127.0.0.1", 9)
        payment.request("POST", "/charges")
    return {}
"""

RULE = Rule(
    code="SW304",
    name="external-io-in-transaction",
    evidence=Evidence.SUSPECT,
    severity=Severity.INFO,
    cause=(
        "An HTTP request went out while a transaction was open. For as long as the other side "
        "takes to answer, the connection is out of the pool, and the locks of the transaction "
        "are held."
    ),
    fix=(
        "Commit, or close the session, before the call, and begin anew with what it has answered; "
        "or read what the call needs first and write afterwards."
    ),
    fine=(
        "A call that is quick, in a route that is seldom used, may stay where it is; that is why "
        'the rule is off until `extend_select=("SW304",)`.'
    ),
    broken=_BROKEN,
    correct=_CORRECT,
    opt_in=True,
)
INCIDENT = OutboundCall


def check(call: OutboundCall) -> Iterator[Finding]:
    """Find an outbound call in a transaction, at the line that made it."""
    yield RULE.finding(
        call.owner,
        f"{call.owner.label} called {call.host}{at(call.at)} with the transaction open of the "
        f"{_holder(call)}",
        call.at,
        details={"host": call.host},
    )


def _holder(call: OutboundCall) -> str:
    if call.hold.session is not None:
        return f"session opened{at(call.hold.session.opened_at)}"
    return f"connection checked out{at(call.hold.checked_out_at)}"
