"""A client's request → the call of one provider: path, query, headers and body in the provider's dialect. Pure.

A provider that speaks the endpoint itself gets the client's own bytes, but for the model's name, the wish for usage and
fields that are other tools' business. Any other gets a translation, or the call is refused with the field that cannot
be carried.
"""

from typing import Final, Protocol
from urllib.parse import quote

from tailrace.errors import Code, Refused
from tailrace.relay.asked import Arrival, Prepared
from tailrace.relay.live import Connection
from tailrace.relay.outbound import Header, bare, caller_credential, provider_headers
from tailrace.relay.tap import BodyTap, StreamTap, Tap, TranslatedBodyTap, TranslatedStreamTap
from tailrace.upstream.client import Outgoing, Upload
from tailrace.wire.dialect import Translation
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.request import Request
from tailrace.wire.splice import ask_for_usage, remove_fields, replace_model
from tailrace.wire.told import PRIVATE_FIELDS

_MOST_MODELS: Final = {"anthropic": b"limit=1000", "gemini": b"pageSize=1000"}
"""By dialect: its longest page. OpenAI's list has none."""


class Said(Protocol):
    """What is needed of a client's request."""

    @property
    def arrival(self) -> Arrival: ...
    @property
    def wire(self) -> EndpointWire: ...
    @property
    def headers(self) -> list[Header]: ...
    @property
    def query(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...
    @property
    def request(self) -> Request: ...


def prepare(asked: Said, connection: Connection, model: str) -> Prepared:
    """The call of `connection` for its `model`.

    Raises:
        Refused: the request cannot be said in the provider's dialect, or its body cannot be edited safely.
    """
    dialect, wire = connection.dialect, asked.wire
    path = dialect.native.get(wire.endpoint)
    if path is not None:
        return _native(asked, connection, model, path)
    translation = dialect.translations.get(wire.endpoint)
    if translation is None:
        message = f"The provider {connection.upstream.name} speaks {dialect.name}, which has no /v1{wire.path}."
        raise Refused(Code.CANNOT_TRANSLATE, message, status=400)
    return _translated(asked, connection, model, translation)


def pass_through(
    method: str, path: str, query: bytes, headers: list[Header], body: bytes | Upload, connection: Connection
) -> Outgoing:
    """A call of any other path, as the client made it."""
    kept = _headers(headers, headers, connection)
    return Outgoing(method, prefixed(connection, "", path), join_query(query, connection.query), kept, body)


def list_models(headers: list[Header], connection: Connection) -> Outgoing:
    """The question which models a provider has, asked of its own accord: of the caller, only the key travels."""
    query = join_query(_MOST_MODELS.get(connection.dialect.name, b""), connection.query)
    return Outgoing("GET", prefixed(connection, "", "/models"), query, _headers(None, headers, connection), b"")


def _native(asked: Said, connection: Connection, model: str, path: str) -> Prepared:
    request, scan = asked.request, asked.wire.scan
    body = asked.body
    if model != request.model:
        body = replace_model(body, request.parsed, model)
    if not PRIVATE_FIELDS.isdisjoint(request.parsed):
        body = remove_fields(body, request.parsed, PRIVATE_FIELDS)
    asks_usage = request.usage_open and connection.stream_usage
    edited = ask_for_usage(body, request.parsed) if asks_usage else body
    headers = _headers(asked.headers, asked.headers, connection)
    query = join_query(asked.query, connection.query)
    return Prepared(
        Outgoing("POST", prefixed(connection, model, path), query, headers, edited),
        stream_tap=BodyTap if scan is None else lambda: StreamTap(scan(edited is not body)),
        body_tap=BodyTap,
    )


def _translated(asked: Said, connection: Connection, model: str, translation: Translation) -> Prepared:
    said = translation.request(asked.request.parsed, model)
    headers = _headers(None, asked.headers, connection)
    query = join_query(said.query, connection.query)
    now_s = asked.arrival.at_us // 1_000_000

    def stream_tap() -> Tap:
        assert asked.wire.scan is not None
        return TranslatedStreamTap(translation.stream(asked.request.parsed, now_s), asked.wire.scan(False))

    return Prepared(
        Outgoing("POST", prefixed(connection, model, said.path), query, headers, said.body),
        stream_tap=stream_tap,
        body_tap=lambda: TranslatedBodyTap(lambda answer: translation.answer(answer, now_s)),
        translation=translation,
    )


def prefixed(connection: Connection, model: str, path: str) -> str:
    """`path` behind the provider's base URL, where the model may be a part of it (Azure's deployments)."""
    if not connection.prefix:
        return path
    if model:
        return connection.prefix.replace("{model}", quote(model, safe="")) + path
    before = connection.prefix.partition("{model}")[0].rstrip("/")  # `/deployments`: what holds the models goes with it
    return before.rpartition("/")[0] + path


def join_query(asked: bytes, configured: bytes) -> bytes:
    """The client's query and the settings' own."""
    return asked + b"&" + configured if asked and configured else asked or configured


def _headers(received: list[Header] | None, brought: list[Header], connection: Connection) -> tuple[Header, ...]:
    credential = _credential(brought, connection, translated=received is None)
    return provider_headers(received, connection.dialect, connection.headers, credential)


def _credential(headers: list[Header], connection: Connection, *, translated: bool) -> Header | None:
    """The header with the key: the settings' own, or the caller's as it came; said anew for another dialect."""
    if not connection.takes_callers_key:
        return connection.credential
    brought = caller_credential(headers)
    if brought is None or not translated:
        return brought
    return connection.name_credential(bare(*brought))
