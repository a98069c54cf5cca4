"""`tailrace logs show ID`: everything of one completion, for people, as JSON and as its bare bodies."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.commands.filed import DEEP, HOSTILE, N, id_of
from tests.commands.screen import on_a_terminal, plain
from tests.typed import Run


def page(tailrace: Run, filed: Path, n: N) -> str:
    said = tailrace("logs", "show", id_of(n), "--data-dir", filed)
    assert (said.code, said.err) == (0, "")
    return said.out


def as_json(tailrace: Run, filed: Path, n: N) -> dict[str, Any]:
    said = tailrace("logs", "show", id_of(n), "--json", "--data-dir", filed)
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    found = orjson.loads(said.out)
    assert isinstance(found, dict)
    return found


def parts(text: str) -> dict[str, list[str]]:
    """The page by its headings; the fields before the first are under the empty one."""
    found: dict[str, list[str]] = {}
    for part in text.split("\n\n"):
        head, *rest = part.splitlines()
        if found:
            found[head] = rest
        else:
            found[""] = [head, *rest]
    return found


def test_a_page_has_fields_calls_conversation_answer_and_feedback(tailrace: Run, filed: Path) -> None:
    shown = parts(page(tailrace, filed, N.BONN))
    fields = {line[:19].strip(): line[20:] for line in shown[""]}
    assert fields["id"] == id_of(N.BONN)
    assert fields["parent"] == fields["chain.id"] == id_of(N.HELLO)
    assert fields["link_kind"] == "inferred  (same conversation so far, and no other has it)"
    assert (fields["session"], fields["user"], fields["stream"]) == ("s1", "-", "false")
    assert shown["calls of providers"][0].endswith("up m  ok  200  0.5ms")
    said = ["system", "    Be brief.", "user", "    Hello", "assistant", "    Hi!"]
    assert shown["request"] == ['{"model":"m"}', *said, "user", "    How do I get to Bonn?"]
    assert shown["answer"] == ["assistant", "    By train."]
    assert "user down 0.5 too slow" in shown["feedback"][0]
    assert shown["feedback"][1].startswith("    better: By bike.")


def test_labels_are_shown_with_their_history_and_actions_as_far_as_they_came(tailrace: Run, filed: Path) -> None:
    lines = [line.split("  ", 1)[1] for line in parts(page(tailrace, filed, N.BONN))["labels and actions"]]
    assert lines == [
        "intent v1 = question (0.93, student, r1) 0.1ms",
        "intent v1 = reject (llm, audit, r1) 0.1ms",
        r"intent v1 = confirm (human ada \x1b]0;pwned\x07\x1b[31mred, r1) 0.1ms",
        "topics v1 = travel, bonn (0.93, student) 0.1ms",
        "webhook crm.test: done after 2 attempts, for intent = question",
    ]
    shown = as_json(tailrace, filed, N.BONN)
    assert {name: label["label"] for name, label in shown["labels"].items()} == {
        "intent": "confirm", "topics": ["travel", "bonn"],
    }  # fmt: skip
    assert [(one["classifier"], one["source"], one["confidence"]) for one in shown["label_history"]] == [
        ("intent", "student", 0.934), ("intent", "llm", None), ("intent", "human", None), ("topics", "student", 0.934),
    ]  # fmt: skip
    assert [(one["do"], one["outcome"], one["attempts"], one["key"]) for one in shown["actions"]] == [
        ("webhook", "done", 2, "k")
    ]


@pytest.mark.parametrize(
    ("n", "asked", "answered"),
    [
        (N.TOOLS, ["tool c1", "    wet"], ["assistant", "    It rains."]),
        (N.RESPONSE, ["user", "    Rain?"], ["function_call weather", '    weather({"city":"Bonn"})']),
        (N.CLAUDE, ["user", "    Rain?"], ["assistant", "    Let me see.", '    weather({"city":"Bonn"})']),
        (N.OLD, ['{"model":"m","prompt":"Once"}'], ["assistant", "    upon a time"]),
        (N.LOST, ["user", "    lost"], ["none"]),
        (N.PAGE, ['{"messages":[],"model":"n"}'], ["no JSON, kept as it came:", "<h1>Bad\\x9b Gateway</h1>"]),
    ],
)
def test_each_endpoints_words_are_read(tailrace: Run, filed: Path, n: N, asked: list[str], answered: list[str]) -> None:
    shown = parts(page(tailrace, filed, n))
    assert shown["request"][-len(asked) :] == asked
    assert shown["answer"] == answered


def test_what_is_long_is_cut_and_says_where_the_rest_is(tailrace: Run, filed: Path) -> None:
    (vector,) = parts(page(tailrace, filed, N.VECTOR))["answer"]
    assert len(vector) < 2100
    assert vector.endswith(" … (--raw has all of it)")


def test_a_failed_call_says_what_its_body_began_with(tailrace: Run, filed: Path) -> None:
    call, detail = parts(page(tailrace, filed, N.LIMITED))["calls of providers"]
    assert call.endswith("up m  provider_error  429  0.5ms")
    assert detail.strip().startswith("began \\x1b]0;pwned\\x07")


def test_json_has_all_of_it(tailrace: Run, filed: Path) -> None:
    shown = as_json(tailrace, filed, N.BONN)
    assert (shown["id"], shown["parent"]) == (id_of(N.BONN), id_of(N.HELLO))
    assert shown["request"]["messages"][3] == {"role": "user", "content": "How do I get to Bonn?"}
    assert shown["answer"]["choices"][0]["message"]["content"] == "By train."
    assert (shown["request_raw_base64"], shown["answer_raw_base64"]) == (None, None)
    (call,), (feedback,) = shown["calls"], shown["feedback"]
    assert (call["n"], call["outcome"], call["http_status"], call["duration_ms"]) == (1, "ok", 200, 0.5)
    assert (feedback["thumb"], feedback["score"], feedback["correction"]["role"]) == ("down", 0.5, "assistant")


def test_bytes_that_no_json_stands_for_are_in_the_json_too(tailrace: Run, filed: Path) -> None:
    shown = as_json(tailrace, filed, N.PAGE)
    assert shown["answer"] is None
    assert base64.b64decode(str(shown["request_raw_base64"])) == b'{"model":"m","model":"n","messages":[]}'
    assert base64.b64decode(str(shown["answer_raw_base64"])) == b"<h1>Bad\x9b Gateway</h1>"


def test_what_is_nested_too_deep_for_the_fast_writer_is_written_all_the_same(tailrace: Run, filed: Path) -> None:
    assert "[" * DEEP in tailrace("logs", "show", id_of(N.DEEP), "--json", "--data-dir", filed).out
    assert "[" * DEEP in tailrace("logs", "show", id_of(N.DEEP), "--raw", "--data-dir", filed).out
    assert "[" * (DEEP - 1) in page(tailrace, filed, N.DEEP), "a part a line"


def test_raw_is_the_two_bodies_and_nothing_else(tailrace: Run, filed: Path) -> None:
    said = tailrace("logs", "show", id_of(N.HOSTILE), "--raw", "--data-dir", filed)
    request, answer = map(orjson.loads, said.out.splitlines())
    assert request == {"model": "m", "messages": [{"role": "user", "content": HOSTILE}]}
    assert answer["choices"][0]["message"]["content"] == HOSTILE


def test_raw_bytes_go_into_a_pipe_as_they_came(filed: Path) -> None:
    command = [sys.executable, "-m", "tailrace", "logs", "show", id_of(N.PAGE), "--raw", "--data-dir", str(filed)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout == b'{"model":"m","model":"n","messages":[]}\n<h1>Bad\x9b Gateway</h1>\n'


@pytest.mark.parametrize("n", [N.HOSTILE, N.LIMITED, N.PAGE, N.BONN])
@pytest.mark.parametrize("option", ["", "--json", "--raw"])
def test_nothing_that_was_stored_steers_a_terminal(filed: Path, n: N, option: str) -> None:
    code, got = on_a_terminal("logs", "show", id_of(n), "--data-dir", filed, *filter(None, [option]))
    assert code == 0
    assert plain(got)


def test_an_id_may_be_short_and_must_name_one(tailrace: Run, filed: Path) -> None:
    def refused(id_: str) -> str:
        said = tailrace("logs", "show", id_, "--data-dir", filed)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        return said.err

    short = id_of(N.OLD)[:13]
    assert id_of(N.OLD) in tailrace("logs", "show", short, "--data-dir", filed).out
    assert f"several ids begin with {short[:8]}; give more digits: {id_of(N.HELLO)}" in refused(short[:8])
    assert "no completion has an id that begins with 00000000; `tailrace logs" in refused("00000000")
    for wrong in ("zzz", "", "1234567", "\x1b[31m"):
        assert "is no id: give one of `tailrace logs`, whole or its first 8 or more digits" in refused(wrong)
    assert "\\x1b[31m" in refused("\x1b[31m")
