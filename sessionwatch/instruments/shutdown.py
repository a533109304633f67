"""What is still out of the pools when the application has shut down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from sessionwatch import records
from sessionwatch.instruments.attribution import guarded
from sessionwatch.instruments.holds import pool_records
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.stack import NO_STACK

if TYPE_CHECKING:
    from sessionwatch.watch import SessionWatch

Message = MutableMapping[str, Any]
_OVER = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")


class Lifespan:
    """Passes an application's lifespan on, and judges once when its shutdown is over.

    That is before the server is told of it: it may end the process at once.
    """

    def __init__(
        self,
        watch: SessionWatch,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._watch = watch
        self._receive = receive
        self._send = send
        self._shutting_down = False
        self._began_ns = watch.clock()

    async def receive(self) -> Message:
        """Receive for the application, and note that it is to shut down."""
        message = await self._receive()
        if message["type"] == "lifespan.shutdown":
            self._shutting_down = True
        return message

    async def send(self, message: Message) -> None:
        """Send for the application, and judge when it says that it has shut down."""
        if message["type"] in _OVER:
            self.over()
        await self._send(message)

    def over(self) -> None:
        """Judge what is out, if the application was to shut down and has not been judged yet."""
        if self._shutting_down:
            self._shutting_down = False
            shut_down(self._watch, self._began_ns)


@guarded
def shut_down(watch: SessionWatch, began_ns: int) -> None:
    """Tell of every pool whose connections are still out, and of ignores without a use.

    What was taken before the lifespan began is somebody else's: a test's, that goes on after it.
    """
    if not watch.running:
        return
    for pool in pool_records():
        left = [hold for hold in list(pool.holds) if _is_left(hold, watch, began_ns)]
        if left:
            at = left[0].opened_at or NO_STACK
            watch.incident(records.incident.ConnectionsLeft(watch.process_owner, at, pool, left))
    watch.report_unused_ignores()


def _is_left(hold: ConnectionHold, watch: SessionWatch, began_ns: int) -> bool:
    """Whether nobody can be expected to return a connection; a test goes on after the shutdown."""
    session = hold.session
    opened_ns = hold.checked_out_ns if session is None else session.opened_ns
    if opened_ns < began_ns:
        return False
    owner, proxy = hold.owner, hold.proxy()
    goes_on = owner.kind == "test" and not owner.ended_ns
    is_out = not hold.returned_ns and proxy is not None and proxy.is_valid
    return owner.recorder is watch and is_out and not goes_on
