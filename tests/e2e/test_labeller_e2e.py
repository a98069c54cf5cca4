"""Labels after the fact: from the log, by a process that may die at any time; webhooks from the log, each once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import Proxy, proxy, until
from tests.webhooks import Deed, Receiver, Redirect, receiver

pytestmark = pytest.mark.xdist_group("labeller_e2e")

CONFIG = """
[log]
durability = "process"
[webhooks]
hosts = ["{address}"]
secret = "{secret}"
backoff_s = 0.1
attempts = 3
[classifiers.mood]
labels = {{angry = "is angry", fine = "is fine"}}
rules = [{{label = "angry", any = ["angry"]}}, {{label = "fine", any = ["fine"]}}]
actions = [
    {{on = "angry", do = "webhook", url = "{url}"}},
    {{on = "fine", do = "tag", tag = "mood"}},
]
"""


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver("s3cret") as taking:
        yield taking


@pytest.fixture
def running(tmp_path: Path, hook: Receiver) -> Iterator[Proxy]:
    secret = tmp_path / "secret"
    secret.write_text(hook.secret)
    with proxy(
        tmp_path / "proxy", CONFIG.format(url=hook.url, address=hook.url.split("/")[2], secret=f"file:{secret}")
    ) as started:
        until(lambda: started.select("SELECT * FROM classifier_version") or None, "the labeller")
        yield started


def say(running: Proxy, *turns: str) -> None:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    assert running.post({"model": "sim/echo", "messages": messages}).status_code == 200


def found(running: Proxy, query: str, count: int) -> list[dict[str, Any]]:
    return until(lambda: rows if len(rows := running.select(query)) >= count else None, query)


def test_turns_are_labelled_from_the_log_and_a_webhook_is_called_with_a_signature(
    running: Proxy, hook: Receiver
) -> None:
    say(running, "I am angry")
    say(running, "I am fine")
    say(running, "hm")
    labels = found(running, "SELECT * FROM label ORDER BY seq", 2)
    assert [(row["text"], row["source"], row["mode"]) for row in labels] == [
        ("angry", "rule", "live"),
        ("fine", "rule", "live"),
    ]
    done = found(running, "SELECT * FROM action WHERE \"do\" = 'webhook' AND outcome = 'done'", 1)
    (call,) = hook.calls
    assert call.flaw is None
    assert (call.values["label"], call.values["classifier"], call.values["step"]) == ("angry", "mood", 1)
    assert call.values["completion"].replace("-", "") == done[0]["completion"].hex()
    (tag,) = running.select("SELECT * FROM action WHERE \"do\" = 'tag'")
    assert (tag["label"], tag["outcome"], tag["target"]) == ("fine", "done", "mood")


def test_a_clients_retry_of_the_same_prompt_calls_the_webhook_once(running: Proxy, hook: Receiver) -> None:
    say(running, "hello")
    for _ in range(2):
        say(running, "hello", "hello", "I am angry")
    done = found(running, "SELECT * FROM action WHERE outcome = 'done' ORDER BY seq", 2)
    assert sorted(str(row["error"]) for row in done) == ["None", "already_sent"]
    assert len(hook.calls) == 1
    assert len({row["completion"] for row in done}) == 2


def test_a_webhook_is_tried_again_and_then_given_up(running: Proxy, hook: Receiver) -> None:
    hook.then(500, Redirect("http://127.0.0.1:9/elsewhere"), Deed.DROP)
    say(running, "angry")
    (failed,) = found(running, "SELECT * FROM action WHERE outcome = 'failed'", 1)
    assert failed["attempts"] == 3
    assert (len(hook.ids), len(hook.calls)) == (1, 3)
    outcomes = [row["error"] for row in running.select("SELECT * FROM action WHERE outcome = 'retried' ORDER BY seq")]
    assert outcomes == ["status 500", "status 307"]  # a redirect is not followed


def test_a_labeller_that_dies_harms_no_call_and_goes_on(running: Proxy, hook: Receiver) -> None:
    hook.then(Deed.HANG, 204)
    say(running, "angry 0")
    hook.wait(1)
    running.kill("labeller")
    hook.release()
    for n in range(1, 6):
        say(running, f"angry {n}")
    found(running, "SELECT * FROM label WHERE text = 'angry'", 6)
    found(running, "SELECT * FROM action WHERE outcome = 'done'", 6)
    labelled = running.select("SELECT count(*) AS n, count(DISTINCT completion) AS d FROM label")
    assert (labelled[0]["n"], labelled[0]["d"]) == (6, 6)
    assert len(hook.ids) == 6  # what was under way when it died is called again, under the same id


def test_a_reload_makes_a_new_version_that_labels_what_comes_from_then_on(running: Proxy) -> None:
    say(running, "I am fine")
    found(running, "SELECT * FROM label", 1)
    path = running.stderr.parent / "tailrace.toml"
    path.write_text(path.read_text().replace('any = ["fine"]', 'any = ["fine", "grand"]'))
    running.process.send_signal(1)
    found(running, "SELECT * FROM classifier_version", 2)
    say(running, "I am grand")
    rows = found(running, "SELECT * FROM label ORDER BY seq", 2)
    assert [row["text"] for row in rows] == ["fine", "fine"]
    assert rows[0]["version"] != rows[1]["version"]
