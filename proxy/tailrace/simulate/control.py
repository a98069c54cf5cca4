"""The ledger over HTTP, under `/_sim/`: for tests that drive a simulator in another process.

GET    /_sim/ledger?model=M&since=N           the entries, oldest first
DELETE /_sim/ledger                           forget them, and the counters of the `…-then-ok` scenarios
GET    /_sim/wait?model=M&at_least=K&limit_s=S  as above, once K entries exist and none runs, or S seconds are over
GET    /_sim/stats                            open connections, running exchanges, entries pushed out of the ledger
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import parse_qs

from tailrace.records import Json
from tailrace.simulate.acts import Act, Until
from tailrace.simulate.call import json_acts
from tailrace.simulate.ledger import Ledger, SimRequest

PREFIX: Final = "/_sim/"
_LONGEST_WAIT_S: Final = 60.0


def acts(ledger: Ledger, request: SimRequest, forget: Callable[[], None]) -> Iterable[Act]:
    """The answer to one request under `/_sim/`."""
    wanted = {name: values[-1] for name, values in parse_qs(request.query).items()}
    try:
        return _acts(ledger, request, wanted, forget)
    except ValueError:
        return json_acts(400, {"error": "since and at_least are integers, limit_s is a number"})


def _acts(ledger: Ledger, request: SimRequest, wanted: dict[str, str], forget: Callable[[], None]) -> Iterable[Act]:
    model = wanted.get("model")
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "ledger":
            return json_acts(200, _shape(ledger, model, int(wanted.get("since", "0"))))
        case "DELETE", "ledger":
            forget()
            return json_acts(200, _shape(ledger, None, 0))
        case "GET", "wait":
            limit_s = min(float(wanted.get("limit_s", "10")), _LONGEST_WAIT_S)
            return _wait(ledger, model, int(wanted.get("at_least", "1")), limit_s)
        case "GET", "stats":
            return json_acts(200, _stats(ledger, model))
    return json_acts(404, {"error": "GET or DELETE /_sim/ledger, GET /_sim/wait, GET /_sim/stats"})


def _wait(ledger: Ledger, model: str | None, at_least: int, limit_s: float) -> Iterator[Act]:
    yield Until(lambda: ledger.is_settled(model, at_least), limit_s)
    settled = ledger.is_settled(model, at_least)
    yield from json_acts(200, {**_shape(ledger, model, 0), "settled": settled})


def _shape(ledger: Ledger, model: str | None, since: int) -> Json:
    shown = [entry.shape() for entry in ledger.entries(model, since)]
    return {"entries": shown, **_stats(ledger, model)}


def _stats(ledger: Ledger, model: str | None) -> dict[str, Json]:
    return {"connections": ledger.connections, "in_flight": ledger.in_flight(model), "forgotten": ledger.forgotten}
