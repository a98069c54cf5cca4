"""The simulated provider itself: a request in, a script of acts out.

Owns the state that outlives one request: the ledger, the dialogues, the counters. No socket and no waiting here: a
server (`server.py`) or a transport in process (`upstream/simulated.py`) plays the script and tells the entry.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate import (
    chat,
    completions,
    control,
    embeddings,
    gemini,
    gemini_array,
    messages,
    others,
    responses,
)
from tailrace.simulate.acts import Act, Headers
from tailrace.simulate.answer import Asked, BadRequest, Stamp
from tailrace.simulate.call import Call, json_acts
from tailrace.simulate.dialogues import Dialogue, Replayer, packaged
from tailrace.simulate.kept import Keeper, Remembering
from tailrace.simulate.labelling.gold import Gold
from tailrace.simulate.ledger import CREDENTIALS, Entry, Ledger, SimRequest, without_credentials
from tailrace.simulate.scenarios import SCENARIOS, Found, close_to, find, scenario_list
from tailrace.simulate.wire import Wire

WIRES: Final[Mapping[str, Wire]] = MappingProxyType(
    {
        r"/chat/completions(\?|$)": chat,
        r"/completions(\?|$)": completions,
        r"/embeddings(\?|$)": embeddings,
        r"/responses(\?|$)": responses,
        r"/messages(\?|$)": messages,
        r":generateContent(\?|$)|:streamGenerateContent\?(.*&)?alt=sse(&|$)": gemini,
        r":streamGenerateContent(\?|$)": gemini_array,
    }
)
"""The wire of each path with its query, a regular expression; the first that matches counts. A new wire is one module
and one line here. Of all other paths `others.py` makes a wire for each request."""

_CALLERS: Final = 10_000  # callers whose attempts are counted; the one longest silent is forgotten
_ANYTHING: Final = "echo"
"""What answers a call of another path that names no scenario."""
_SESSION_HEADERS: Final = frozenset((b"x-session-id", b"x-tailrace-session", b"helicone-session-id"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A script to play, and the entry to be told how it goes."""

    acts: Iterable[Act]
    entry: Entry


class Simulator:
    """A provider that answers, misbehaves and replays on demand.

    `pace` scales every finite wait (0 for tests); `clock` gives Unix seconds, `monotonic` orders the ledger.
    `dialogues` None takes the packaged ones, when the first replay is asked for. Labels come from `gold`.
    """

    def __init__(
        self,
        *,
        dialogues: Sequence[Dialogue] | None = None,
        gold: Gold | None = None,
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        ledger_entries: int = 10_000,
    ) -> None:
        self.pace = pace
        self.ledger = Ledger(monotonic, ledger_entries)
        self._clock = clock
        self._dialogues = dialogues
        self._gold = gold or Gold()
        self._replayer: Replayer | None = None
        self._calls = 0
        self._attempts: OrderedDict[bytes, int] = OrderedDict()
        self._keeper = Keeper()
        self._remembering = Remembering(self._keeper)

    def open(self, request: SimRequest) -> Exchange:
        """What is done about `request`. Never raises for what a client sent."""
        if request.path.startswith(control.PREFIX):
            return Exchange(control.acts(self.ledger, request, self.forget), Entry(0, 0.0, request, None, None))
        seen = without_credentials(request)
        if request.path.endswith("/models") and request.method == "GET":
            return Exchange(_models(request), self.ledger.open(seen, None, None))
        if request.method == "POST" and (wire := self._wire(request)) is not None:
            return self._answer(wire, request, seen)
        if (told := self._keeper.answer(request)) is not None:
            return Exchange(told, self.ledger.open(seen, None, None))
        return self._pass(request, seen)

    def forget(self) -> None:
        """Empties the ledger, forgets kept responses and starts every caller's attempts anew."""
        self.ledger.clear()
        self._keeper.clear()
        self._attempts.clear()

    def _wire(self, request: SimRequest) -> Wire | None:
        target = f"{request.path}?{request.query}"
        wire: Wire | None = next((wire for path, wire in WIRES.items() if re.search(path, target)), None)
        return self._remembering if wire is responses else wire

    def _answer(self, wire: Wire, request: SimRequest, seen: SimRequest) -> Exchange:
        try:
            asked = wire.read(_parsed(request), request.path)
        except BadRequest as bad:
            refused = _refusal(wire, bad.status, bad.message, bad.code, bad.param)
            return Exchange(refused, self.ledger.open(seen, None, None))
        found = find(asked.model)
        if found is None:
            return Exchange(_unknown(wire, asked.model), self.ledger.open(seen, asked.model, None))
        return self._play(wire, asked, found, request, seen)

    def _pass(self, request: SimRequest, seen: SimRequest) -> Exchange:
        """A call of a path that holds no completion."""
        try:
            wire = others.passed(request)
        except BadRequest as bad:
            refused = _refusal(chat, bad.status, bad.message, None, bad.param)
            return Exchange(refused, self.ledger.open(seen, None, None))
        if wire is None:
            refused = _refusal(chat, 404, f"Unknown request URL: {request.method} {request.path}", "unknown_url")
            return Exchange(refused, self.ledger.open(seen, None, None))
        found = find(wire.asked.model) or Found(_ANYTHING, SCENARIOS[_ANYTHING], 0)
        return self._play(wire, wire.asked, found, request, seen)

    def _play(self, wire: Wire, asked: Asked, found: Found, request: SimRequest, seen: SimRequest) -> Exchange:
        entry = self.ledger.open(seen, asked.model or None, found.key)
        only = found.scenario.wires
        if only is not None and wire.MANNER.name not in only:
            message = f"'{asked.model}' exists over {' and '.join(sorted(only))} alone."
            return Exchange(_refusal(wire, 400, message, "model_not_supported", "model"), entry)
        try:
            return Exchange(found.scenario.play(self._call(wire, asked, found, request.headers)), entry)
        except BadRequest as bad:
            return Exchange(_refusal(wire, bad.status, bad.message, bad.code, bad.param), entry)

    def _call(self, wire: Wire, asked: Asked, found: Found, headers: Headers) -> Call:
        self._calls += 1
        return Call(
            wire=wire,
            asked=asked,
            stamp=Stamp(self._calls, int(self._clock())),
            n=found.n,
            attempt=lambda: self._attempt(asked, headers),
            replay=self._replay,
            gold=self._gold,
        )

    def _replay(self, asked: Asked) -> str:
        if self._replayer is None:
            self._replayer = Replayer(packaged() if self._dialogues is None else self._dialogues)
        return self._replayer.answer(asked.messages)

    def _attempt(self, asked: Asked, headers: Headers) -> int:
        """Counts one more attempt of this caller: the same key, user and session, for the same model."""
        told = [value for name, value in headers if name in CREDENTIALS or name in _SESSION_HEADERS]
        caller = sha256(
            b"\0".join([asked.model.encode("utf-8", "replace"), (asked.caller or "").encode(), *told])
        ).digest()
        self._attempts[caller] = self._attempts.pop(caller, 0) + 1
        if len(self._attempts) > _CALLERS:
            self._attempts.popitem(last=False)
        return self._attempts[caller]


def _parsed(request: SimRequest) -> Json:
    """The JSON of a body. Raises BadRequest."""
    if request.upload is not None:
        message = f"A body of {request.size_bytes} bytes and type '{request.content_type}' is no question."
        raise BadRequest(message, status=413 if not request.upload.parts else 400)
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise BadRequest("We could not parse the JSON body of your request.") from None


def _models(request: SimRequest) -> tuple[Act, ...]:
    """The list of models, in the dialect of who asks."""
    if "/v1beta" in request.path:
        names = [{"name": f"models/{name}", "displayName": name, "description": says} for name, says in scenario_list()]
        return json_acts(200, {"models": names})
    if any(name == b"anthropic-version" for name, _ in request.headers):
        made = "1970-01-01T00:00:00Z"
        named = [
            {"type": "model", "id": id_, "display_name": says, "created_at": made} for id_, says in scenario_list()
        ]
        ends = {"first_id": named[0]["id"], "last_id": named[-1]["id"]}
        return json_acts(200, {"data": named, "has_more": False, **ends})
    owned = {"object": "model", "created": 0, "owned_by": "tailrace"}
    listed = [{"id": name, **owned, "description": says} for name, says in scenario_list()]
    return json_acts(200, {"object": "list", "data": listed})


def _refusal(wire: Wire, status: int, message: str, code: str | None, param: str | None = None) -> tuple[Act, ...]:
    return json_acts(status, wire.failure(message, kind="invalid_request_error", status=status, code=code, param=param))


def _unknown(wire: Wire, model: str) -> tuple[Act, ...]:
    close = close_to(model)
    hint = f" Did you mean {' or '.join(close)}?" if close else " `tailrace simulate --list` shows all."
    return _refusal(wire, 404, f"The model '{model}' does not exist.{hint}", "model_not_found", "model")
