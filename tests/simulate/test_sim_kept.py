"""Responses that are kept, within bounds, and what goes on from them; and the paths that hold no completion."""

from typing import Any

import orjson
import pytest

from tailrace.simulate.answer import Answer, BadRequest, Stamp
from tailrace.simulate.kept import Keeper, Remembering
from tailrace.simulate.responses import read
from tailrace.simulate.server import Server
from tests.simulate.rawclient import RawClient, Seen, head


async def call(server: Server, path: str, body: Any = None, method: str = "POST") -> tuple[int, Any]:
    async with RawClient(server.port) as client:
        sent = b"" if body is None else orjson.dumps(body)
        client_headers = ("content-type: application/json",) if sent else ()
        client.writer.write(head(sent, *client_headers, method=method, path=path) + sent)
        seen = await client.read(Seen())
    return seen.status, orjson.loads(seen.body)


async def respond(server: Server, **asked: Any) -> Any:
    status, told = await call(server, "/v1/responses", {"model": "sim/replay", **asked})
    assert status == 200, told
    return told


async def test_a_dialogue_goes_on_from_the_response_before(server: Server) -> None:
    first = await respond(server, input="Hi")
    second = await respond(server, input="A taxi", previous_response_id=first["id"])
    assert first["output"][0]["content"][0]["text"] == "Hello, how can I help?"
    assert second["output"][0]["content"][0]["text"] == "Where to?"


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}])
async def test_a_conversation_remembers(server: Server, named: Any) -> None:
    await respond(server, input="Hi", conversation=named)
    second = await respond(server, input="A taxi", conversation="conv_1", store=False)
    assert second["output"][0]["content"][0]["text"] == "Where to?"


async def test_what_is_not_to_be_stored_is_not(server: Server) -> None:
    made = await respond(server, input="Hi", store=False)
    assert (await call(server, f"/v1/responses/{made['id']}", method="GET"))[0] == 404
    status, told = await call(
        server, "/v1/responses", {"model": "sim/echo", "input": "x", "previous_response_id": made["id"]}
    )
    assert (status, told["error"]["code"]) == (400, "previous_response_not_found")


async def test_a_kept_response_is_given_listed_and_deleted(server: Server) -> None:
    items = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    made = await respond(server, input=items, model="sim/echo")
    path = f"/v1/responses/{made['id']}"
    assert await call(server, path, method="GET") == (200, made)
    _, page = await call(server, f"{path}/input_items?limit=2", method="GET")
    assert [item["content"][0]["text"] for item in page["data"]] == ["c", "b"]
    assert page["has_more"]
    _, rest = await call(server, f"{path}/input_items?after={page['last_id']}", method="GET")
    assert [item["content"][0]["text"] for item in rest["data"]] == ["a"]
    _, forward = await call(server, f"{path}/input_items?order=asc", method="GET")
    assert [item["content"][0]["text"] for item in forward["data"]] == ["a", "b", "c"]
    assert (await call(server, f"{path}/cancel"))[0] == 400
    assert (await call(server, path, method="DELETE"))[1]["deleted"] is True
    assert (await call(server, path, method="GET"))[0] == 404
    assert (await call(server, path, method="DELETE"))[0] == 404


async def test_emptying_the_ledger_forgets_what_was_kept(server: Server) -> None:
    made = await respond(server, input="Hi")
    await call(server, "/_sim/ledger", method="DELETE")
    assert (await call(server, f"/v1/responses/{made['id']}", method="GET"))[0] == 404


async def test_a_streamed_response_is_kept_when_it_has_ended(server: Server) -> None:
    async with RawClient(server.port) as client:
        seen = await client.ask(orjson.dumps({"model": "sim/echo", "input": "x", "stream": True}), path="/v1/responses")
    last = orjson.loads(seen.body.split(b"data: ")[-1])
    assert await call(server, f"/v1/responses/{last['response']['id']}", method="GET") == (200, last["response"])


def test_the_oldest_are_forgotten_first() -> None:
    keeper = Keeper(most_bytes=6_000)
    wire = Remembering(keeper)
    ids = [wire.document(read({"model": "m", "input": "x"}, ""), Answer("a"), Stamp(n, 0))["id"] for n in range(1, 20)]
    with pytest.raises(BadRequest):
        keeper.before({"previous_response_id": ids[0]})
    assert keeper.before({"previous_response_id": ids[-1]})
    assert keeper._bytes <= 6_000
    keeper.clear()
    assert (keeper._bytes, keeper.before({"conversation": "c"})) == (0, ())


async def test_other_paths_tell_what_they_were_sent(server: Server) -> None:
    status, told = await call(server, "/v1/batches?a=b%2Fc", {"model": "m", "n": 1})
    assert (status, told["method"], told["path"], told["query"]) == (200, "POST", "/v1/batches", "a=b%2Fc")
    assert (told["content_type"], told["body_bytes"], told["n"]) == ("application/json", 19, 1)
    status, told = await call(server, "/v1/moderations", {"input": ["a", "b"]})
    assert len(told["results"]) == 2
    status, told = await call(server, "/v1/messages/count_tokens", {"model": "m", "messages": []})
    assert (status, told["type"]) == (400, "error")


@pytest.mark.parametrize("size", [0, 1, 4_096, 1_000_001])
async def test_a_download_has_the_size_that_was_asked_for(server: Server, size: int) -> None:
    async with RawClient(server.port) as client:
        one = await client.ask(b"", method="GET", path=f"/v1/files/f1/content?sim_bytes={size}")
        other = await client.ask(b"", method="GET", path=f"/v1/files/f1/content?sim_bytes={size}")
    assert (one.status, one.end, len(one.body)) == (200, "well", size)
    assert one.body == other.body
    assert dict(one.headers)[b"content-type"] == b"application/octet-stream"


async def test_a_fault_is_named_by_query_body_or_form(server: Server) -> None:
    form = b'--e\r\ncontent-disposition: form-data; name="model"\r\n\r\nsim/429\r\n--e--\r\n'
    assert (await call(server, "/v1/files?sim=503", method="GET"))[0] == 503
    assert (await call(server, "/v1/images/generations", {"model": "sim/429"}))[0] == 429
    async with RawClient(server.port) as client:
        start = head(form, "content-type: multipart/form-data; boundary=e", path="/v1/audio/transcriptions")
        client.writer.write(start + form)
        assert (await client.read(Seen())).status == 429
