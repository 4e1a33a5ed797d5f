"""Around every request: its id, its metrics, its log line, its trace, and the last resort."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import Open, Pass
from service.access.guard import is_admin, scope_of
from service.errors import ClientGoneError, NotFoundError, PanoptesError
from service.protocols.answer import Whole
from service.protocols.door import Reply
from service.protocols.errand import Errand
from service.protocols.problems import problem_of, problem_response
from service.protocols.serving import Serving
from service.telemetry import logs
from service.telemetry.traces import Answered, NoTracer

log = logging.getLogger("panoptes.requests")

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class DirectRoute(NamedTuple):
    """What the router would leave in the scope."""

    path: str


class Envelope:
    """The outermost ASGI application. A caller's own X-Request-Id is kept if it is sane.

    `direct` maps paths to the applications that answer POST there without the detour through
    `app`, which has them too.
    """

    def __init__(self, app: ASGIApp, serving: Serving, *, direct: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._direct = direct
        self._serving = serving
        self._log_requests = serving.settings.log_requests
        self._guarded = not isinstance(serving.guard, Open)
        self._traced = not isinstance(serving.tracer, NoTracer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        app = self._app
        if scope["method"] == "POST" and (found := self._direct.get(scope["path"])) is not None:
            app = found
            scope["route"] = DirectRoute(scope["path"])
        encoded = _name(scope)
        request_id = encoded.decode()
        token = logs.request_id.set(request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", encoded), _NOSNIFF]
            await send(message)

        admitted: Pass | None = None
        try:
            admitted = self._admit(scope)
            await app(scope, receive, send_with_id)
        except PanoptesError as error:  # at the door: behind it each protocol tells its own
            response = problem_response(problem_of(error, request_id), error)
            await response(scope, receive, send_with_id)
        except Exception as error:
            log.exception("unexpected error")
            if not status:
                response = problem_response(problem_of(error, request_id))
                await response(scope, receive, send_with_id)
        finally:
            if admitted is not None:
                admitted.leave()
            logs.request_id.reset(token)
            self.tell(scope, request_id, status, time.perf_counter() - started)

    def refuse(self, scope: Scope, error: PanoptesError) -> Response | None:
        """What someone is told who is turned away unread; None if he is to hear something else."""
        started = time.perf_counter()
        try:
            admitted = self._admit(scope)
        except PanoptesError:
            return None
        if admitted is not None:
            admitted.leave()
        encoded = _name(scope)
        request_id = encoded.decode()
        scope["route"] = DirectRoute(scope["path"])
        response = problem_response(problem_of(error, request_id), error)
        response.raw_headers += [(b"x-request-id", encoded), _NOSNIFF]
        self.tell(scope, request_id, response.status_code, time.perf_counter() - started)
        return response

    def visit(self, scope: Scope, errand: Errand, reply: Reply) -> Visiting | None:
        """Serves someone at the door; None if he is to hear inside why he is not let in."""
        try:
            admitted = self._admit(scope)
        except PanoptesError:
            return None
        return Visiting(self, scope, admitted, errand, reply)

    def _admit(self, scope: Scope) -> Pass | None:
        """Let the caller in, or raise why not. Costs nothing where there is neither key nor
        admin port."""
        admin_port = self._serving.admin_port
        if admin_port is None and not self._guarded:
            return None
        at_the_door: Pass | None = scope["state"].pop("admitted", None)
        if at_the_door is not None:
            return at_the_door
        method, path = scope["method"], scope["path"]
        if admin_port not in (None, scope["server"][1]) and is_admin(method, path):
            raise NotFoundError(f"{path} is on another port")
        return self._serving.guard.enter(scope_of(method, path), scope["headers"])

    def tell(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        # The route, not the path: a path that anyone may invent must not become a metric.
        route = getattr(scope.get("route"), "path", "(none)")
        self._serving.metrics.request(route, status, seconds)
        if self._traced and (timings := scope["state"].get("timings")):
            self._serving.tracer.request(
                Answered(route, request_id, status, seconds, scope["headers"], timings)
            )
        # 503 is how a server says that it starts or stops, many times over.
        failed = status >= 500 and status != 503
        if self._log_requests == "all" or (self._log_requests == "failed" and failed):
            log.info(
                "%s %s %d",
                scope["method"],
                scope["path"],
                status,
                extra={"request_id": request_id, "ms": round(seconds * 1e3, 1)},
            )


class Visiting:
    """Around a request that is served at the door, what is around every other."""

    __slots__ = (
        *("_admitted", "_begun", "_encoded", "_envelope", "_errand", "_reply", "_scope"),
        "_started",
    )

    def __init__(
        self, envelope: Envelope, scope: Scope, admitted: Pass | None, errand: Errand, reply: Reply
    ) -> None:
        self._started = time.perf_counter()
        self._envelope = envelope
        self._scope = scope
        self._admitted = admitted
        self._errand = errand
        self._reply = reply
        self._begun = False
        self._encoded = _name(scope)
        scope["route"] = DirectRoute(scope["path"])
        errand.expect()

    def came(self, body: bytes) -> bool:
        token = logs.request_id.set(self._encoded.decode())
        self._begun = True
        try:
            if not self._errand.start(body, self._done):
                self._scope["state"]["admitted"] = self._admitted
                return False
        except Exception as error:
            self._leave(self._problem(error))
        finally:
            logs.request_id.reset(token)
        return True

    def gone(self) -> None:
        self._errand.cancel()
        if not self._begun:
            self._leave(self._problem(ClientGoneError("the client went away before it had asked")))

    def _done(self) -> None:
        try:
            answer: Whole = self._errand.answer()
        except Exception as error:
            answer = self._problem(error)
        self._leave(answer)

    def _problem(self, error: Exception) -> Response:
        if not isinstance(error, PanoptesError):
            log.error("unexpected error", exc_info=error)
        return problem_response(problem_of(error, self._encoded.decode()), error)

    def _leave(self, answer: Whole) -> None:
        try:
            headers = [*answer.raw_headers, (b"x-request-id", self._encoded), _NOSNIFF]
            self._reply(answer.status_code, headers, bytes(answer.body))
        finally:
            if self._admitted is not None:
                self._admitted.leave()
            seconds = time.perf_counter() - self._started
            self._envelope.tell(self._scope, self._encoded.decode(), answer.status_code, seconds)


def _name(scope: Scope) -> bytes:
    """The id of a request, which is kept in its state."""
    state = scope.setdefault("state", {})
    known: str | None = state.get("request_id")
    if known is not None:  # it has been at the door
        return known.encode()
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            encoded: bytes = value
            break
    else:
        encoded = b"%016x" % random.getrandbits(64)
    state["request_id"] = encoded.decode()
    return encoded
