"""What `verify` and the warnings say of files by the targets' own rules: of each line, and of whole files."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tailrace_exporters import checks
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import Limits
from tailrace_exporters.recipe import parse_recipe
from tailrace_exporters.verify import check_files, read_claim
from tests.exporters.logged import opened
from tests.exporters.pure import export
from tests.exporters.test_verify import reseal
from tests.typed import Run

GOOD = b'{"messages":[{"role":"user","content":"U"},{"role":"assistant","content":"A"}]}\n'
BAD = b'{"messages":[{"role":"user","content":"U"},{"role":"assistant","content":"A","weight":2}]}\n'


@pytest.fixture
def out(tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path) -> Path:
    """An export of the small log."""
    assert tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir).code == 0
    return tmp_path / "out"


def test_each_line_is_told_with_file_number_pointer_and_message() -> None:
    assert list(checks.lines("together/train.jsonl", [GOOD, BAD, b"{", GOOD])) == [
        "together/train.jsonl:2: /messages/1/weight: a weight is 0 or 1",
        "together/train.jsonl:3: cannot be read (unexpected end of data: line 1 column 2 (char 1))",
    ]
    assert list(checks.lines("together/train.jsonl", [b"[]"])) == ["together/train.jsonl:1: /: a line is an object"]


def test_the_problems_of_a_file_are_counted_beyond_the_first() -> None:
    told = list(checks.lines("together/train.jsonl", [BAD] * (checks.MOST_TOLD + 5)))
    assert len(told) == checks.MOST_TOLD + 1
    assert told[-1] == "together/train.jsonl: 5 more problems of this kind in the file"


def test_files_that_are_no_formats_are_not_read() -> None:
    assert not list(checks.lines("lineage.jsonl", [BAD]))
    assert not list(checks.lines("together/dataset_info.json", [b"{"]))


def test_limits_of_whole_files() -> None:
    most = FORMATS["bedrock-converse"].limits.most_rows or 0
    sizes = {
        "bedrock-converse/train-00000.jsonl": (most, 100),
        "bedrock-converse/valid-00000.jsonl": (most, 100),
        "openai-chat/train.jsonl": (1000, 1_024_000_000),
        "lineage.jsonl": (10**9, 10**12),
    }
    assert list(checks.limits(sizes)) == [
        (
            "openai-chat/train.jsonl: 1,024,000,000 bytes; the target takes a file of 512,000,000: "
            "write shards of about 500 rows ([write] shard_rows)"
        )
    ]
    sizes["bedrock-converse/train-00001.jsonl"] = (1, 100)
    assert list(checks.limits(sizes))[-1] == "bedrock-converse/train: 20,001 rows; the target takes 20,000"


def test_rows_longer_than_a_target_reads_are_a_warning() -> None:
    calls = [opened(seq, input_tokens=tokens, output_tokens=1) for seq, tokens in ((1, 65_535), (2, 65_536))]
    recipe = parse_recipe('[write]\nformats = ["openai-chat", "together"]', "here")
    pipeline, _ = export({call.seq: (call, None) for call in calls}, recipe)
    warnings = pipeline.report.content(pipeline.ledger, recipe.split.shares, {})["warnings"]
    assert [warning for warning in warnings if "tokens" in warning] == [
        "openai-chat: 1 of the rows have more than 65,536 tokens, by the count of who answered them"
    ]


def test_verify_reads_each_line_by_its_targets_rules(out: Path) -> None:
    assert not check_files(read_claim(out)).findings
    path = max((out / "openai-chat").iterdir(), key=lambda file: file.stat().st_size)
    lines = path.read_bytes().splitlines(keepends=True)
    line = orjson.loads(lines[1])
    line["messages"][-1]["weight"] = 2
    path.write_bytes(b"".join([lines[0], orjson.dumps(line) + b"\n", *lines[2:]]))
    reseal(out, lambda manifest: None)
    last = len(line["messages"]) - 1
    assert check_files(read_claim(out)).findings == [
        f"openai-chat/{path.name}:2: /messages/{last}/weight: a weight is 0 or 1"
    ]


def test_verify_notes_what_the_target_does_not_take_of_a_file(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(FORMATS["openai-chat"], limits=Limits(most_rows=1))
    monkeypatch.setitem(FORMATS, "openai-chat", small)
    verdict = check_files(read_claim(out))
    assert not verdict.findings
    assert any("the target takes 1" in note for note in verdict.notes)
