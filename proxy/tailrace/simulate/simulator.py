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

from tailrace.simulate import chat, completions, control, gemini, messages, others, responses
from tailrace.simulate.acts import Act, Headers
from tailrace.simulate.answer import Asked, BadRequest, Stamp
from tailrace.simulate.call import Call, Wire, json_acts
from tailrace.simulate.dialogues import Dialogue, Replayer, packaged
from tailrace.simulate.ledger import Entry, Ledger, SimRequest, without_credentials
from tailrace.simulate.scenarios import Found, close_to, find, scenario_list

WIRES: Final[Mapping[str, Wire]] = MappingProxyType(
    {
        r"/chat/completions$": chat,
        r"(?<!/chat)/completions$": completions,
        r"/responses$": responses,
        r"/messages$": messages,
        gemini.PATH.pattern: gemini,
    }
)
"""The wire of each path, a regular expression. A new wire is one file and one line here."""

_CALLERS: Final = 10_000  # callers whose attempts are counted; the one longest silent is forgotten
_SESSION_HEADERS: Final = frozenset((b"x-session-id", b"x-tailrace-session", b"helicone-session-id"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A script to play, and the entry to be told how it goes."""

    acts: Iterable[Act]
    entry: Entry


class Simulator:
    """A provider that answers, misbehaves and replays on demand.

    `pace` scales every finite wait (0 for tests); `clock` gives Unix seconds, `monotonic` orders the ledger.
    `dialogues` None takes the packaged ones, when the first replay is asked for.
    """

    def __init__(
        self,
        *,
        dialogues: Sequence[Dialogue] | None = None,
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        ledger_entries: int = 10_000,
    ) -> None:
        self.pace = pace
        self.ledger = Ledger(monotonic, ledger_entries)
        self._clock = clock
        self._dialogues = dialogues
        self._replayer: Replayer | None = None
        self._calls = 0
        self._attempts: OrderedDict[bytes, int] = OrderedDict()

    def open(self, request: SimRequest) -> Exchange:
        """What is done about `request`. Never raises for what a client sent."""
        if request.path.startswith(control.PREFIX):
            return Exchange(control.acts(self.ledger, request, self.forget), Entry(0, 0.0, request, None, None))
        seen = without_credentials(request)
        if request.path.endswith("/models") and request.method == "GET":
            return Exchange(_models(), self.ledger.open(seen, None, None))
        wire = next((wire for path, wire in WIRES.items() if re.search(path, request.path)), None)
        if wire is None or request.method != "POST":
            others_acts = others.answer(request)
            if others_acts is not None:
                return Exchange(others_acts, self.ledger.open(seen, None, None))
            refused = _refusal(chat, 404, f"Unknown request URL: {request.method} {request.path}", "unknown_url")
            return Exchange(refused, self.ledger.open(seen, None, None))
        return self._answer(wire, request, seen)

    def forget(self) -> None:
        """Empties the ledger and starts every caller's attempts anew."""
        self.ledger.clear()
        self._attempts.clear()

    def _answer(self, wire: Wire, request: SimRequest, seen: SimRequest) -> Exchange:
        try:
            asked = wire.read(orjson.loads(request.body), request.path)
        except orjson.JSONDecodeError:
            refused = _refusal(wire, 400, "We could not parse the JSON body of your request.", None)
            return Exchange(refused, self.ledger.open(seen, None, None))
        except BadRequest as bad:
            refused = _refusal(wire, 400, bad.message, None, bad.param)
            return Exchange(refused, self.ledger.open(seen, None, None))
        found = find(asked.model)
        if found is None:
            return Exchange(_unknown(wire, asked.model), self.ledger.open(seen, asked.model, None))
        entry = self.ledger.open(seen, asked.model, found.key)
        return Exchange(found.scenario.play(self._call(wire, asked, found, request.headers)), entry)

    def _call(self, wire: Wire, asked: Asked, found: Found, headers: Headers) -> Call:
        self._calls += 1
        return Call(
            wire=wire,
            asked=asked,
            stamp=Stamp(self._calls, int(self._clock())),
            n=found.n,
            attempt=lambda: self._attempt(asked, headers),
            replay=self._replay,
        )

    def _replay(self, asked: Asked) -> str:
        if self._replayer is None:
            self._replayer = Replayer(packaged() if self._dialogues is None else self._dialogues)
        return self._replayer.answer(asked.messages)

    def _attempt(self, asked: Asked, headers: Headers) -> int:
        """Counts one more attempt of this caller: the same key, user and session, for the same model."""
        told = [value for name, value in headers if name == b"authorization" or name in _SESSION_HEADERS]
        caller = sha256(
            b"\0".join([asked.model.encode("utf-8", "replace"), (asked.caller or "").encode(), *told])
        ).digest()
        self._attempts[caller] = self._attempts.pop(caller, 0) + 1
        if len(self._attempts) > _CALLERS:
            self._attempts.popitem(last=False)
        return self._attempts[caller]


def _models() -> tuple[Act, ...]:
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": "tailrace", "description": says}
        for name, says in scenario_list()
    ]
    return json_acts(200, {"object": "list", "data": listed})


def _refusal(wire: Wire, status: int, message: str, code: str | None, param: str | None = None) -> tuple[Act, ...]:
    return json_acts(status, wire.failure(message, kind="invalid_request_error", code=code, param=param))


def _unknown(wire: Wire, model: str) -> tuple[Act, ...]:
    close = close_to(model)
    hint = f" Did you mean {' or '.join(close)}?" if close else " `tailrace simulate --list` shows all."
    return _refusal(wire, 404, f"The model '{model}' does not exist.{hint}", "model_not_found", "model")
