"""Templates found again in a log made from twenty known ones, and rows that go on without their static text."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tailrace.records import Json
from tailrace.templates.match import Templates, render
from tailrace.templates.prune import estimated, prune
from tailrace_exporters.templates.survey import Conversation, Survey, survey
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, said
from tests.exporters.templated import Asked, known, log
from tests.typed import Run

MADE: Final = list(log(2000, seed=1))


def images(messages: Sequence[Json]) -> list[bytes]:
    """Every part that is no text, as bytes, in order."""
    contents = [message["content"] for message in messages if isinstance(message["content"], list)]
    return [orjson.dumps(part) for content in contents for part in content if part["type"] != "text"]


@pytest.fixture(scope="module")
def found() -> Survey:
    async def read() -> AsyncIterator[Sequence[Conversation]]:
        for at in range(0, len(MADE), 500):
            yield [each.messages for each in MADE[at : at + 500]]

    return asyncio.run(survey(read, estimated))


def owners(found: Survey) -> dict[str, str]:
    """For each recovered template the known one that most of its requests were made from."""
    templates, votes = Templates(found.templates), Counter[tuple[str, str]]()
    for each in MADE:
        match = templates.match(each.messages)
        if match is not None and each.template is not None:
            votes[match.template.id, each.template] += 1
    best: dict[str, str] = {}
    for (id_, name), _ in votes.most_common():
        best.setdefault(id_, name)
    return best


def matched(found: Survey) -> Iterator[tuple[Asked, Any]]:
    templates = Templates(found.templates)
    for each in MADE:
        yield each, templates.match(each.messages)


def test_requests_are_assigned_to_the_templates_they_were_made_from(found: Survey) -> None:
    owner = owners(found)
    assert len(set(owner.values())) >= len(known()) - 1, "one is rare in this log"
    right = sum(
        each.template == (None if match is None else owner[match.template.id]) for each, match in matched(found)
    )
    assert right >= 0.95 * len(MADE)


def test_slots_are_recovered(found: Survey) -> None:
    made = [(sorted(each.slots.values()), match) for each, match in matched(found) if each.slots is not None]
    whole = sum(match is not None and sorted(match.slots.values()) == words for words, match in made)
    assert whole >= 0.85 * len(made)


def test_a_match_is_the_request_again_and_no_image_is_touched(found: Survey) -> None:
    pictures = 0
    for each, match in matched(found):
        if match is None:
            continue
        assert render(match, each.messages) == each.messages
        pruned = prune(each.messages, Templates(found.templates))
        assert pruned is not None
        assert images(pruned.messages) == images(each.messages)
        pictures += bool(images(each.messages))
        answers = [message for message in each.messages if message["role"] == "assistant"]
        kept = [message for message in pruned.messages if message["role"] == "assistant"]
        assert kept[len(kept) - len(answers) :] == answers or not answers
    assert pictures > 20


def test_what_was_saved_is_what_is_missing(found: Survey) -> None:
    saved = sum(tally.saved_tokens for tally in found.tallies.values())
    assert saved > 0
    assert found.requests == len(MADE)
    assert found.unknown >= sum(each.template is None for each in MADE) * 0.9


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    calls = {n: Call(n, each.messages, said(f"answer {n}")) for n, each in enumerate(MADE[:400], 1)}
    return file_log(tmp_path_factory.mktemp("templates") / "data", {n: (call, None) for n, call in calls.items()})


def test_the_command_finds_writes_and_the_recipe_prunes(tailrace: Run, data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "templates.json"
    said_ = tailrace("export", "templates", "--out", file, "--data-dir", data_dir)
    assert said_.code == 0, said_.err
    summary = re.search(r"([\d,]+) of 400 requests were made from (\d+) templates; ([\d,]+) tokens", said_.out)
    assert summary is not None
    assert tailrace("export", "templates", "--out", file, "--data-dir", data_dir).code == 2, "it exists"
    assert not any(each.slots["text"] in file.read_text() for each in MADE[:400] if each.slots and "text" in each.slots)
    (tmp_path / "r.toml").write_text('[templates]\nfile = "templates.json"\n')
    ended = tailrace("export", tmp_path / "r.toml", "--out", tmp_path / "out", "--data-dir", data_dir)
    assert ended.code == 0, ended.err
    told = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert told["made"]["prune"] > 200
    assert told["templates"]["saved_tokens"] > 0
    assert list(told["inputs"]) == ["templates.json"]
    lineage = [orjson.loads(line) for line in (tmp_path / "out" / "lineage.jsonl").read_bytes().splitlines()]
    assert {made["stage"] for line in lineage for made in line.get("made", [])} == {"prune"}
    verified = tailrace("export", "verify", tmp_path / "out", "--beside", tmp_path, "--data-dir", data_dir)
    assert verified.code == 0, verified.out


def test_a_file_that_is_none_is_told_in_one_line(tailrace: Run, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "templates.json").write_text("{")
    (tmp_path / "r.toml").write_text('[templates]\nfile = "templates.json"\n')
    ended = tailrace("export", tmp_path / "r.toml", "--dry-run", "--data-dir", data_dir)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "templates.json: " in ended.err
