"""After the writing: no file of an export holds a value that was found, or there is no export."""

import io
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace_exporters.pipeline import DROPPED, LINEAGE
from tailrace_exporters.scrub.canary import LONGEST, WINDOW, Canary
from tailrace_exporters.scrub.kinds import Value
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, opened, said, user
from tests.exporters.test_scrub import BASE62, PEM
from tests.typed import Run, Said

RECIPE = """
[scrub]
secrets = "mask"
personal = "pseudonym"
key = "env:TAILRACE_SCRUB_KEY"
[write]
formats = ["openai-chat", "trl-messages"]
"""


def found(canary: Canary, data: bytes) -> list[tuple[int, Value]]:
    return list(canary.search(io.BytesIO(data)))


values = st.binary(min_size=1, max_size=90).map(lambda value: value.replace(b"\n", b"").replace(b"\\", b""))


@settings(max_examples=150, deadline=None)
@given(st.lists(values, min_size=1, max_size=5), st.lists(values, max_size=6), st.integers(0, 4))
@example([b"\0" * 6], [b"\0" * 5], 0)
def test_a_search_finds_what_is_there_and_nothing_else(wanted: list[bytes], other: list[bytes], which: int) -> None:
    canary = Canary()
    for value in wanted:
        canary.add(value, Value.EMAIL)
    kept = {value[:LONGEST] for value in wanted if len(value) >= WINDOW}
    assert len(canary) == len(kept)
    lines = [*other, wanted[which % len(wanted)], *other]
    expected = [n for n, line in enumerate(lines, 1) for value in kept if value in line]
    assert sorted({line for line, _ in found(canary, b"\n".join(lines) + b"\n")}) == sorted(set(expected))


def test_a_value_is_found_wherever_a_chunk_ends_and_however_it_is_escaped() -> None:
    canary = Canary()
    canary.add(b"bob@corp.com", Value.EMAIL)
    canary.add(PEM.encode(), Value.PRIVATE_KEY)
    line = b"x" * 70_000 + b"\n"
    data = line * 40 + b'{"a": "bob\\u0040corp.com"}\n' + line + b"\\\\\\u0062ob@corp.com\n" + PEM.encode()
    assert sorted(found(canary, data)) == [(41, Value.EMAIL), (43, Value.EMAIL), (45, Value.PRIVATE_KEY)]
    assert found(canary, b"") == []
    assert found(Canary(), b"bob@corp.com") == []


def test_a_value_counts_once_and_weighs_sixteen_bytes() -> None:
    canary = Canary()
    for n in range(300_000):
        canary.add(b"user%07d@corp.com" % (n % 1000), Value.EMAIL)
    assert len(canary._starts) < 140_000
    assert len(canary) == 1000
    assert found(canary, b"user0000999@corp.com, user0001000@corp.com") == [(1, Value.EMAIL)]


def log_of(tmp_path: Path, *calls: Call) -> Path:
    return file_log(tmp_path / "data", {call.seq: (call, None) for call in calls})


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_SCRUB_KEY", "0123456789abcdef")


def export(tmp_path: Path, tailrace: Run, data: Path, recipe: str = RECIPE) -> Said:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe)
    return tailrace("export", path, "--out", tmp_path / "out", "--data-dir", data)


PERSON = Call(1, [user(f"I am bob@corp.com, ghp_{BASE62}")], said("Hello bob@corp.com, call +49 151 2345 6789."))


def test_an_export_holds_nothing_that_was_found_and_verifies_with_its_key(tmp_path: Path, tailrace: Run) -> None:
    data = log_of(tmp_path, PERSON, opened(2))
    said_ = export(tmp_path, tailrace, data)
    assert said_.code == 0, said_.err
    out = tmp_path / "out"
    for path in out.rglob("*"):
        if path.is_file():
            for value in (b"bob@corp", BASE62.encode(), b"2345 6789", b"0123456789abcdef"):
                assert value not in path.read_bytes(), path
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert manifest["scrub"]["values"] == {"github_token": 1, "email": 2, "phone": 1}
    assert manifest["scrub"]["rows_changed"] == 1
    assert len(manifest["scrub"]["key_fingerprint"]) == 32
    assert tailrace("export", "verify", out, "--data-dir", data).code == 0


def test_without_its_key_an_export_is_not_verified(
    tmp_path: Path, tailrace: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = log_of(tmp_path, PERSON, opened(2))
    assert export(tmp_path, tailrace, data).code == 0
    monkeypatch.delenv("TAILRACE_SCRUB_KEY")
    none = tailrace("export", "verify", tmp_path / "out", "--data-dir", data)
    assert none.code == 2
    assert "scrub.key: the variable TAILRACE_SCRUB_KEY is not set" in none.err
    monkeypatch.setenv("TAILRACE_SCRUB_KEY", "x" * 16)
    other = tailrace("export", "verify", tmp_path / "out", "--data-dir", data)
    assert other.code == 1
    assert "manifest.json: scrub: made with another key; every pseudonym differs" in other.out


def test_a_secret_stops_the_export_and_nothing_is_written(tmp_path: Path, tailrace: Run) -> None:
    data = log_of(tmp_path, PERSON)
    refused = export(tmp_path, tailrace, data, "[scrub]\n")
    assert refused.code == 1
    assert "/messages/0/content holds a secret (github_token)" in refused.err
    assert BASE62 not in refused.err + refused.out
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "recipe.toml"]


@pytest.mark.parametrize(
    ("recipe", "place"),
    [
        (RECIPE + "[select]\nwhere = 'tags.user != \"bob@corp.com\"'\n", "manifest.json:"),
        (RECIPE + "[select]\nwhere = 'tags.user != \"bob\\u0040corp.com\"'\n", "manifest.json:"),
    ],
)
def test_a_value_in_any_file_fails_the_export(tmp_path: Path, tailrace: Run, recipe: str, place: str) -> None:
    data = log_of(tmp_path, PERSON)
    failed = export(tmp_path, tailrace, data, recipe)
    assert failed.code == 1
    assert f"{place}" in failed.err
    assert "holds a value that was found elsewhere in the log (email)" in failed.err
    assert "corp.com" not in failed.err
    assert not (tmp_path / "out").exists()


def test_what_a_pattern_told_in_one_row_only_fails_the_export(tmp_path: Path, tailrace: Run) -> None:
    """`hunter2000` is a word until somebody says that it is the password."""
    data = log_of(tmp_path, opened(1, "I typed hunter2000 twice"), opened(2, "password: hunter2000"))
    failed = export(tmp_path, tailrace, data)
    assert failed.code == 1
    assert "openai-chat/train.jsonl:1: holds a value" in failed.err


def test_a_value_inside_a_parquet_file_is_found_too(tmp_path: Path, tailrace: Run) -> None:
    """Its bytes are compressed: what is searched are its rows."""
    data = log_of(tmp_path, opened(1, "I typed hunter2000 twice"), opened(2, "password: hunter2000"))
    failed = export(tmp_path, tailrace, data, RECIPE.replace('"openai-chat", "trl-messages"', '"parquet"'))
    assert failed.code == 1
    assert "parquet/train.parquet:1: holds a value" in failed.err


def test_a_dropped_row_is_in_no_file(tmp_path: Path, tailrace: Run) -> None:
    data = log_of(tmp_path, PERSON, opened(2))
    assert export(tmp_path, tailrace, data, RECIPE.replace("mask", "drop")).code == 0
    (dropped,) = (orjson.loads(line) for line in (tmp_path / "out" / DROPPED).read_bytes().splitlines())
    assert (dropped["stage"], dropped["reason"]) == ("scrub", "secret:github_token")
    assert len((tmp_path / "out" / LINEAGE).read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ('[scrub]\npersonal = "pseudonym"\n', "pseudonyms need a key"),
        ('[scrub]\nkey = "env:K"\n', "pseudonyms need a key, and nothing else does"),
        (RECIPE.replace("_SCRUB_KEY", "_SHORT"), "env:TAILRACE_SHORT holds 5 characters; give at least 16"),
        (RECIPE.replace("_SCRUB_KEY", "_NONE"), "scrub.key: the variable TAILRACE_NONE is not set; export it"),
        (RECIPE.replace("env:TAILRACE_SCRUB_KEY", "0123456789abcdef"), "a secret is not written here"),
    ],
)
def test_a_key_that_is_none(
    tmp_path: Path, tailrace: Run, data_dir: Path, recipe: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_SHORT", "short")
    failed = export(tmp_path, tailrace, data_dir, recipe)
    assert failed.code == 2
    assert told in failed.err
    assert "0123456789abcdef" not in failed.err
