"""`/api/classifiers`, `/api/labels`: what classifiers said and did, read from the store.

An admin or a read key opens them. As long as there are no keys only this machine may ask: the proxy must listen on a
loopback address and be called by one, which keeps out web pages that point a name of theirs here. The store's libraries
are loaded with the first question.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import orjson
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from tailrace.errors import Code, Refused, TailraceError, error_answer
from tailrace.listen import is_loopback
from tailrace.relay.live import Relay

_JSON: Final = "application/json"
_STATES: Final = 100
"""Steps of a classifier's students that are told, the newest."""

Read = Callable[[Any], Awaitable[Any]]
"""What is asked of a reading connection."""


def label_routes(relay: Relay) -> list[HTTPRouteHandler]:
    """The routes, bound to the process's state."""

    @get("/api/classifiers")
    async def classifiers(request: Request[Any, Any, Any], name: FromQuery[str | None] = None) -> Response[bytes]:
        """Every classifier that the settings name or the log has met; one by `name`, with its labels and actions
        counted and the steps of its students."""
        from tailrace.store import classifiers as store  # noqa: PLC0415 - SQLAlchemy: 20 MB that a relay can do without

        async def read(connection: Any) -> Any:
            versions = await store.versions(connection, name)
            met = dict.fromkeys((*relay.live.settings.classifiers, *(each.classifier for each in versions)))
            if name is None:
                return {"object": "list", "data": [_named(relay, each, versions) for each in met]}
            if name not in met:
                raise Refused(Code.UNKNOWN_PATH, "There is no classifier of that name.", status=404)
            return _named(relay, name, versions) | {
                "labels": await store.counts(connection, name),
                "actions": await store.action_counts(connection, name),
                "students": await store.students(connection, name, limit=_STATES),
            }

        return await _answer(relay, request, read)

    @get("/api/labels")
    async def labels(request: Request[Any, Any, Any], completion: FromQuery[UUID]) -> Response[bytes]:
        """All that was said of one completion's turn, which of it counts, and what was done."""
        from tailrace.store import labels as store  # noqa: PLC0415

        async def read(connection: Any) -> Any:
            ids = [completion.bytes]
            return {
                "completion": completion,
                "counting": (await store.counting(connection, ids)).get(completion.bytes, {}),
                "labels": (await store.history(connection, ids)).get(completion.bytes, []),
                "actions": (await store.actions(connection, ids)).get(completion.bytes, []),
            }

        return await _answer(relay, request, read)

    return [classifiers, labels]


def _named(relay: Relay, name: str, versions: list[Any]) -> dict[str, Any]:
    settings = relay.live.settings.classifiers.get(name)
    return {
        "name": name,
        "configured": settings is not None,
        "mode": None if settings is None else settings.mode,
        "when": None if settings is None else settings.when,
        "task": None if settings is None else settings.task,
        "versions": [
            {"version": each.version, "first_us": each.first_us, "definition": each.definition}
            for each in versions
            if each.classifier == name
        ],
    }


async def _answer(relay: Relay, request: Request[Any, Any, Any], read: Read) -> Response[bytes]:
    try:
        _check(relay, request)
        engine = await asyncio.to_thread(importlib.import_module, "tailrace.store.engine")
        async with engine.open_reader(relay.live.settings.log.data_dir) as connection:
            return Response(orjson.dumps(await read(connection)), media_type=_JSON)
    except Refused as refused:
        answer = error_answer(refused)
    except TailraceError as error:  # there is no store yet, or it is not ours
        answer = error_answer(Refused(Code.LOG_UNAVAILABLE, str(error), status=503))
    return Response(answer.body, status_code=answer.status, media_type=_JSON)


def _check(relay: Relay, request: Request[Any, Any, Any]) -> None:
    """Raises Refused: without a key that opens the API; where there are none, somebody else than this machine asks."""
    ring = relay.callers.keyring
    if ring.is_on:
        ring.administrator(request.scope["headers"], relay.clock.now_us(), writes=False)
        return
    host = request.url.hostname or ""
    if not is_loopback(relay.live.settings.server.host) or not is_loopback(host.strip("[]")):
        message = "The API answers only on a loopback address, called by that address, as long as there are no keys."
        raise Refused(Code.FORBIDDEN, message, status=403)
