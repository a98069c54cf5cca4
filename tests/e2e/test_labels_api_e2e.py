"""The API of labels: what the log has, and only for this machine."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import Proxy, proxy, until

pytestmark = pytest.mark.xdist_group("labels_api_e2e")

CONFIG = """
[log]
durability = "process"
[classifiers.mood]
when = "before"
labels = {angry = "is angry", fine = "is fine"}
rules = [{label = "angry", any = ["angry"]}, {label = "fine", any = ["fine"]}]
actions = [{on = "angry", do = "tag", tag = "mood"}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("proxy"), CONFIG) as started:
        yield started


def test_labels_actions_and_their_counts(running: Proxy) -> None:
    ids = []
    for text in ("I am angry", "I am fine", "so angry"):
        answer = running.post({"model": "sim/echo", "messages": [{"role": "user", "content": text}]})
        ids.append(answer.headers["x-tailrace-id"])
    until(lambda: True if len(running.select("SELECT * FROM action")) == 2 else None, "the actions")
    (mood,) = running.get("/api/classifiers").json()["data"]
    assert (mood["name"], mood["configured"], mood["when"], mood["mode"]) == ("mood", True, "before", "live")
    told = running.get("/api/classifiers?name=mood").json()
    counts = {(row["label"], row["source"], row["mode"]): row["count"] for row in told["labels"]}
    assert counts == {("angry", "rule", "live"): 2, ("fine", "rule", "live"): 1}
    assert told["actions"] == [{"do": "tag", "outcome": "done", "dry_run": False, "count": 2}]
    assert told["students"] == []
    one = running.get(f"/api/labels?completion={ids[0]}").json()
    assert one["counting"]["mood"]["label"] == "angry"
    assert [label["source"] for label in one["labels"]] == ["rule"]
    assert [action["target"] for action in one["actions"]] == ["mood"]


def test_what_is_not_there(running: Proxy) -> None:
    assert running.get("/api/classifiers?name=nobody").status_code == 404
    assert running.get("/api/classifiers?name=%27%3B--").json()["error"]["code"] == "caller_unknown_path"
    nothing = running.get("/api/labels?completion=01a215a1-c0b0-7418-b73b-590a8c476cc5").json()
    assert (nothing["counting"], nothing["labels"], nothing["actions"]) == ({}, [], [])
    assert running.get("/api/labels?completion=none").status_code == 400


def test_a_web_page_that_points_its_name_here_is_refused(running: Proxy) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example"):
        answer = httpx.get(f"{running.url}/api/classifiers", headers={"host": host})
        assert answer.status_code == 403
        assert "mood" not in answer.text


def test_on_an_address_that_others_reach_the_api_needs_a_key(tmp_path: Path) -> None:
    admin = "a" * 40
    (tmp_path / "admin").write_text(admin)
    config = f'{CONFIG}[keys]\nadmin = "file:{tmp_path}/admin"\n'
    with proxy(tmp_path, config, words=("--host", "0.0.0.0")) as running:
        path = f"{running.url.replace('0.0.0.0', '127.0.0.1')}/api/classifiers"
        answer = httpx.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "caller_no_key")
        assert httpx.get(path, headers={"authorization": f"Bearer {admin}"}).status_code == 200
