"""`tailrace logs [QUERY]`: which completions, in which order, how each line reads, and what is new while one looks."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tailrace.commands.logs_list import Lines, follow, until_interrupted
from tailrace.records import Closed
from tailrace.store.engine import open_reader
from tailrace.store.read import Selection
from tests.commands.filed import HOSTILE, N, id_of
from tests.commands.screen import GUARD_S, on_a_terminal, plain
from tests.typed import Run
from tests.writer.filing import chat, store

APP = [n for n in N if n is not N.REPLAY]


def listed(tailrace: Run, filed: Path, *words: str) -> list[int]:
    """The `seq` of each line of `logs --json`."""
    said = tailrace("logs", *words, "--json", "--data-dir", filed)
    assert (said.code, said.err) == (0, "")
    return [orjson.loads(line)["seq"] for line in said.out.splitlines()]


def lines(tailrace: Run, filed: Path, *words: str) -> list[str]:
    """The lines of the table, its head left out."""
    said = tailrace("logs", *words, "--data-dir", filed)
    assert (said.code, said.err) == (0, "")
    head, *rest = said.out.splitlines()
    assert head.split() == [
        "time", "id", "status", "model", "provider", "step", "chain", "tokens", "duration", "answer"
    ]  # fmt: skip
    return rest


def test_the_newest_come_last_and_only_the_applications_own(tailrace: Run, filed: Path) -> None:
    assert listed(tailrace, filed) == APP
    assert listed(tailrace, filed, "--limit", "2") == APP[-2:]
    assert listed(tailrace, filed, "--limit", "0") == APP
    assert listed(tailrace, filed, "--origin", "replay") == [N.REPLAY]
    assert listed(tailrace, filed, "--origin", "all") == list(N)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status = provider_truncated", [N.CUT]),
        ("relation IN (branch, retry)", [N.AGAIN, N.ELSE]),
        ("chain.completions > 1 AND step = 3", [N.THANKS]),
        ("endpoint = responses OR endpoint = messages", [N.RESPONSE, N.CLAUDE]),
        ("origin = replay", [N.REPLAY]),
        (f"id = {id_of(N.OLD)}", [N.OLD]),
        ("source IS NOT NULL", []),
        ("session = s1", [N.BONN]),
        ("http_status >= 500", [N.UNREACHABLE, N.PAGE]),
    ],
)
def test_a_query_chooses(tailrace: Run, filed: Path, query: str, found: list[int]) -> None:
    assert listed(tailrace, filed, query) == found


def test_a_query_may_be_typed_word_by_word(tailrace: Run, filed: Path) -> None:
    assert listed(tailrace, filed, "list", "status", "=", "interrupted") == [N.LOST]
    assert listed(tailrace, filed, "status", "=", "interrupted", "--limit", "1") == [N.LOST]


def test_since_and_until_bound_the_start(tailrace: Run, filed: Path) -> None:
    def at(n: N) -> str:
        """When `n` started, as JSON tells it."""
        said = tailrace("logs", f"seq = {int(n)}", "--json", "--data-dir", filed)
        return str(orjson.loads(said.out)["started"])

    assert listed(tailrace, filed, "--since", at(N.TOOLS), "--until", at(N.CLAUDE)) == [N.TOOLS, N.RESPONSE]
    assert listed(tailrace, filed, "--since", "1h", "--until", "2020-01-01") == []


def test_a_line_says_how_it_ended_and_what_was_answered(tailrace: Run, filed: Path) -> None:
    told: dict[int, str] = dict(zip(APP, lines(tailrace, filed), strict=True))
    ends = {
        N.HELLO: "Hi!",
        N.HOSTILE: "\\u202egnp.exe\\u202c over \\x9b31m \\x7f end",
        N.LIMITED: "(429: Rate limit reached.)",
        N.CUT: "one two",
        N.UNREACHABLE: "(502: provider_unreachable)",
        N.PAGE: "(502)",
        N.RESPONSE: 'weather({"city":"Bonn"})',
        N.CLAUDE: 'Let me see. weather({"city":"Bonn"})',
        N.OLD: "upon a time",
    }
    for n, end in ends.items():
        assert told[n].endswith(f" {end}"), told[n]
    words = told[N.BONN].split()
    assert words[2:] == [id_of(N.BONN)[:13], "ok", "m", "up", "2", id_of(N.HELLO)[:13], "7/2", "0.5ms", "By", "train."]
    assert "provider_truncated" in told[N.CUT]
    assert told[N.LOST].split()[-1] == "?/?", "what is unknown is no 0"


def test_json_has_the_fields_of_the_query_language(tailrace: Run, filed: Path) -> None:
    said = tailrace("logs", "origin IN (app, replay)", "--json", "--data-dir", filed)
    rows = {row["seq"]: row for row in map(orjson.loads, said.out.splitlines())}
    assert rows[N.REPLAY]["source"] == id_of(N.HELLO)
    assert rows[N.BONN]["parent"] == rows[N.BONN]["chain"]["id"] == id_of(N.HELLO)
    assert rows[N.BONN]["chain"] == {"id": id_of(N.HELLO), "steps": 3, "completions": 5}
    assert (rows[N.HELLO]["parent"], rows[N.HELLO]["cost_usd"]) == (None, None)
    assert rows[N.BONN]["duration_ms"] == 0.5
    assert rows[N.HOSTILE]["tags"] == {HOSTILE[:9]: HOSTILE[9:40]}
    assert rows[N.LOST]["http_status"] is None
    assert (rows[N.BONN]["labels"]["intent"]["label"], rows[N.BONN]["actions"][0]["do"]) == ("confirm", "webhook")
    assert (rows[N.HELLO]["labels"], rows[N.HELLO]["actions"]) == ({}, [])


@pytest.mark.parametrize(
    ("query", "means"),
    [
        ("label.intent = confirm", [N.BONN]),
        ("label.topics = bonn AND label.topics.confidence >= 0.9", [N.BONN]),
        ("next.label.intent.source = human", [N.HELLO]),
        ("action.do = webhook AND action.outcome = done", [N.BONN]),
        ("feedback.thumb = down AND feedback.correction IS NOT NULL", [N.BONN]),
        ("label.intent = question OR feedback.score > 0.5", []),
    ],
)
def test_labels_actions_and_feedback_can_be_asked_for(tailrace: Run, filed: Path, query: str, means: list[N]) -> None:
    said = tailrace("logs", query, "--json", "--data-dir", filed)
    assert (said.code, [orjson.loads(line)["seq"] for line in said.out.splitlines()]) == (0, means), said.err


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_a_line_fits_its_terminal_and_cannot_steer_it(filed: Path, columns: int) -> None:
    code, got = on_a_terminal("logs", "--data-dir", filed, columns=columns)
    assert code == 0
    told = plain(got).splitlines()
    assert len(told) == 1 + len(APP), "no line is so long that it wraps"
    assert max(map(len, told)) <= columns
    assert all(name in told[0] for name in ("id", "status", "answer"))
    assert ("model" in told[0]) == (columns >= 100)


def test_wrong_calls_say_what_is_wrong(tailrace: Run, filed: Path) -> None:
    def refused(*words: str) -> str:
        said = tailrace("logs", *words, "--data-dir", filed)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        return said.err

    assert refused("status = okk").startswith('tailrace: QUERY, column 10: "okk" is no status (did you mean ok?)')
    assert refused("statu", "=", "ok") == 'tailrace: QUERY, column 1: unknown field "statu": did you mean status?\n'
    assert "column 16: the query ends here" in refused("status = ok AND")
    assert "--since 'yesterday': expected a time ago such as 15m" in refused("--since", "yesterday")
    assert "--until 'x': expected" in refused("--until", "x")
    assert "--origin 'appp': expected one of app, classifier," in refused("--origin", "appp")
    assert "\\x1b[31m" in refused("status = '\x1b[31m'")


async def test_follow_shows_each_new_one_once_and_only_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(n: int, **start: str) -> Closed:
        return chat(n, [{"role": "user", "content": "x"}], {"role": "assistant", "content": "y"}, **start)

    rounds = iter([[call(3), call(4, origin="replay")], [], [call(5), call(6), call(7)]])
    async with store(tmp_path) as (_, ingest), open_reader(tmp_path) as reader:
        await ingest.file([call(1), call(2)])

        async def more_comes() -> bool:
            coming = next(rounds, None)
            if coming:
                await ingest.file(coming)
            return coming is not None

        await follow(reader, Selection(limit=1), Lines(reader), more_comes)
    told = [orjson.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()]
    assert told == [2, 3, 5, 6, 7], "one of those there, then every new one"


async def test_the_wait_of_follow_ends_with_a_signal_and_stays_ended() -> None:
    wait = until_interrupted(poll_s=0.001)
    assert await wait(), "time to look again"
    patient = until_interrupted(poll_s=GUARD_S)
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    assert not await patient()
    assert not await patient()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def test_ctrl_c_is_the_way_out_of_follow_and_no_error(filed: Path) -> None:
    command = [sys.executable, "-m", "tailrace", "logs", "--follow", "--json", "--limit", "1", "--data-dir", str(filed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert orjson.loads(child.stdout.readline())["seq"] == N.DEEP
        child.send_signal(signal.SIGINT)
        assert child.wait(GUARD_S) == 0
        assert (child.stdout.read(), child.stderr.read()) == (b"", b"")


@pytest.mark.parametrize("option", ["", "--json"])
def test_letters_that_a_terminal_does_not_have_are_no_reason_to_end(tmp_path: Path, option: str) -> None:
    async def file() -> None:
        async with store(tmp_path) as (_, ingest):
            await ingest.file(
                [chat(1, [{"role": "user", "content": "x"}], {"role": "assistant", "content": "né 日本"})]
            )

    asyncio.run(file())
    words = ["logs", "show", "01a0c450-6c01", *filter(None, [option]), "--data-dir", str(tmp_path)]
    command = [sys.executable, "-m", "tailrace", *words]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=env, capture_output=True, timeout=GUARD_S, check=True)
    if option:
        assert orjson.loads(done.stdout)["answer"]["choices"][0]["message"]["content"] == "né 日本"
    else:
        assert done.stdout.endswith(b"    n\\xe9 \\u65e5\\u672c\n")
