"""The classifier stage before the call: what labels do to a call, on every endpoint, and what the log says of it."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.running import Proxy, proxy, until

pytestmark = pytest.mark.xdist_group("stage_e2e")

CONFIG = """
[log]
durability = "process"
[models.bot]
targets = [{provider = "sim", model = "sim/echo"}]
[classifiers.reply]
when = "before"
labels = {confirm = "agrees", reject = "declines", question = "asks", shout = "is loud"}
rules = [
    {label = "confirm", exact = ["yes"]},
    {label = "reject", exact = ["no"]},
    {label = "question", any = ["\\\\?$"]},
    {label = "shout", any = ["!!$"]},
]
actions = [
    {on = "confirm", do = "reply", text = "It is booked."},
    {on = "reject", do = "route", target = "sim/chunks-2"},
    {on = "question", do = "note", text = "Be brief."},
    {on = "question", do = "tag", tag = "kind"},
    {on = "shout", do = "reply", text = "Hush.", dry_run = true},
]
[classifiers.quiet]
when = "before"
mode = "shadow"
labels = {any = "anything"}
rules = [{label = "any", any = ["."]}]
actions = [{on = "any", do = "reply", text = "never"}]
[classifiers.later]
when = "before"
applies_to = {step = ">=2", tags = {app = "shop"}}
labels = {any = "anything"}
rules = [{label = "any", any = ["."]}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("proxy"), CONFIG) as started:
        yield started


def said(running: Proxy, text: str, **more: Any) -> httpx.Response:
    return running.post({"model": "bot", "messages": [{"role": "user", "content": text}]} | more)


def row_of(running: Proxy, answer: httpx.Response, table: str = "completion") -> list[dict[str, Any]]:
    id_ = answer.headers["x-tailrace-id"].replace("-", "")
    column = "id" if table == "completion" else "completion"
    query = f"SELECT * FROM {table} WHERE lower(hex({column})) = '{id_}' ORDER BY rowid"
    return until(lambda: running.select(query) or None, f"{table} of {id_}")


def test_a_reply_is_the_answer_and_no_provider_is_asked(running: Proxy) -> None:
    answer = said(running, "Yes!")
    assert answer.json()["choices"][0]["message"]["content"] == "It is booked."
    assert answer.headers["x-tailrace-label"] == "reply=confirm;source=rule"
    (row,) = row_of(running, answer)
    assert (row["provider"], row["status"], row["finish_reason"], row["attempts"]) == ("tailrace", "ok", "stop", 0)
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (0, 0, "provider")
    (action,) = row_of(running, answer, "action")
    assert (action["do"], action["outcome"], action["label"]) == ("reply", "done", "confirm")


def test_official_clients_read_replies_plain_and_streamed(running: Proxy) -> None:
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="k")
    chunks = client.chat.completions.create(model="bot", messages=[{"role": "user", "content": "yes"}], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "It is booked."
    assert client.responses.create(model="bot", input="yes").output_text == "It is booked."
    with client.responses.stream(model="bot", input="yes") as stream:
        assert stream.get_final_response().output_text == "It is booked."
    assert client.completions.create(model="bot", prompt="yes").choices[0].text == "It is booked."
    client.close()


def test_a_reply_in_anthropics_shape(running: Proxy) -> None:
    asked = {"model": "bot", "max_tokens": 9, "messages": [{"role": "user", "content": "yes"}]}
    plain = httpx.post(f"{running.url}/v1/messages", json=asked).json()
    assert (plain["type"], plain["stop_reason"]) == ("message", "end_turn")
    assert plain["content"] == [{"type": "text", "text": "It is booked."}]
    stream = httpx.post(f"{running.url}/v1/messages", json=asked | {"stream": True}).text
    assert stream.startswith("event: message_start")
    assert stream.rstrip().endswith('{"type":"message_stop"}')
    assert "It is booked." in stream


def test_a_route_gives_the_call_to_another_model(running: Proxy) -> None:
    answer = said(running, "no")
    assert answer.headers["x-tailrace-target"] == "sim/sim/chunks-2"
    (row,) = row_of(running, answer)
    assert (row["model"], row["provider"], row["status"]) == ("bot", "sim", "ok")


def test_a_note_goes_to_the_provider_and_not_into_the_logged_request(running: Proxy) -> None:
    answer = said(running, "how much?")
    assert answer.json()["usage"]["prompt_tokens"] > said(running, "how much.").json()["usage"]["prompt_tokens"]
    (row,) = row_of(running, answer)
    assert row["tags"] == '{"kind":"question"}'
    note, tag = row_of(running, answer, "action")
    assert (note["do"], note["target"], note["outcome"]) == ("note", "Be brief.", "done")
    assert (tag["do"], tag["target"]) == ("tag", "kind")
    again = running.post(
        {
            "model": "bot",
            "messages": [
                {"role": "user", "content": "how much?"},
                answer.json()["choices"][0]["message"],
                {"role": "user", "content": "hm"},
            ],
        }
    )
    (follows,) = row_of(running, again)
    assert follows["parent"] == row["seq"]


def test_a_dry_run_and_a_shadow_only_leave_records(running: Proxy) -> None:
    answer = said(running, "what!!")
    assert answer.json()["choices"][0]["message"]["content"] == "what!!"
    (action,) = row_of(running, answer, "action")
    assert (action["dry_run"], action["outcome"]) == (1, "done")
    labels = {(row["classifier"], row["mode"], row["text"], row["rank"]) for row in row_of(running, answer, "label")}
    assert labels == {("reply", "live", "shout", 1), ("quiet", "shadow", "any", 0)}
    assert answer.headers.get_list("x-tailrace-label") == ["reply=shout;source=rule"]


def test_only_calls_that_a_classifier_is_for_are_labelled(running: Proxy) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    answer = running.post({"model": "bot", "messages": turns}, **{"x-tailrace-tags": "app=shop"})
    assert "later=any;source=rule" in answer.headers.get_list("x-tailrace-label")
    answer = running.post({"model": "bot", "messages": turns})
    assert "x-tailrace-label" not in answer.headers


def test_what_is_no_users_turn_is_not_labelled(running: Proxy) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "yes"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "yes"},
    ]
    answer = running.post({"model": "bot", "messages": turns})
    assert "x-tailrace-label" not in answer.headers
    assert answer.json()["choices"][0]["message"]["content"] != "It is booked."


def test_embeddings_pass(running: Proxy) -> None:
    answer = httpx.post(f"{running.url}/v1/embeddings", json={"model": "sim/echo", "input": "yes"})
    assert answer.status_code == 200
    assert "x-tailrace-label" not in answer.headers


def test_metrics_count_labels_and_actions(running: Proxy) -> None:
    said(running, "yes")
    text = running.get("/metrics").text
    assert 'tailrace_labels_total{classifier="reply",mode="live",outcome="labelled",source="rule"}' in text
    assert 'tailrace_actions_total{classifier="reply",do="reply",outcome="done"}' in text
