"""`tailrace export verify`: whatever was changed is noticed, with its file and nature, and exit code 1."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tailrace.records import Json
from tests.exporters.filing import file_log
from tests.exporters.logged import opened
from tests.typed import Run

Verify = Callable[[], tuple[int, str]]


@pytest.fixture
def out(tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path) -> Path:
    """An export of the small log."""
    assert tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir).code == 0
    return tmp_path / "out"


@pytest.fixture
def verify(tailrace: Run, out: Path, data_dir: Path) -> Verify:
    """Verifies it: exit code and what was said."""

    def run() -> tuple[int, str]:
        said = tailrace("export", "verify", out, "--data-dir", data_dir)
        return said.code, said.out + said.err

    return run


def reseal(out: Path, change: Callable[[Json], None]) -> None:
    """Change the manifest and everything that seals it, as a careful forger would."""
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    change(manifest)
    for name, facts in manifest["files"].items():
        data = (out / name).read_bytes()
        facts.update(lines=data.count(b"\n"), size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    manifest["recipe"]["sha256"] = hashlib.sha256(manifest["recipe"]["text"].encode()).hexdigest()
    raw = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (out / "manifest.json").write_bytes(raw)
    (out / "manifest.sha256").write_text(f"{hashlib.sha256(raw).hexdigest()}  manifest.json\n")


def largest(out: Path, name: str) -> Path:
    return max((out / name).iterdir(), key=lambda path: path.stat().st_size)


def test_an_untouched_export_verifies(verify: Verify) -> None:
    code, said = verify()
    assert code == 0
    assert "verified: 15 rows, made again byte for byte" in said


def test_one_changed_byte(out: Path, verify: Verify) -> None:
    path = largest(out, "openai-chat")
    data = path.read_bytes()
    at = data.index(b"answer 1")
    path.write_bytes(data[:at] + b"A" + data[at + 1 :])
    name, line = f"openai-chat/{path.name}", data[:at].count(b"\n") + 1
    code, said = verify()
    assert code == 1
    assert f"{name}: changed; as many bytes as the manifest says, with another SHA-256" in said
    assert f"{name}:{line}: this line is changed, by what the log gives (1 changed in this file)" in said


@pytest.mark.parametrize("line", [0, 2, -1])
def test_one_missing_row(out: Path, verify: Verify, line: int) -> None:
    path = largest(out, "trl-messages")
    lines = path.read_bytes().splitlines(keepends=True)
    number = range(len(lines))[line] + 1
    del lines[line]
    path.write_bytes(b"".join(lines))
    code, said = verify()
    assert code == 1
    assert f"trl-messages/{path.name}: {len(lines)} lines; the manifest says {len(lines) + 1}" in said
    assert f"trl-messages/{path.name}:{number}: this line is missing, by what the log gives (1 missing" in said


@pytest.mark.parametrize("line", [0, 2, 99])
def test_one_row_too_many_even_where_the_manifest_was_forged_to_fit(out: Path, verify: Verify, line: int) -> None:
    path = largest(out, "openai-chat")
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(line, b'{"messages":[]}\n')
    path.write_bytes(b"".join(lines))
    reseal(out, lambda manifest: None)
    code, said = verify()
    assert code == 1
    assert f"openai-chat/{path.name}:{min(line, len(lines) - 1) + 1}: this line is extra" in said


def test_a_changed_recipe(out: Path, verify: Verify) -> None:
    path = out / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"seed", b"Seed").replace(b'name = \\"small\\"', b'name = \\"large\\"'))
    code, said = verify()
    assert code == 1
    assert "manifest.json: recipe: its text was changed" in said
    assert "manifest.json: changed; its SHA-256 is not the one in manifest.sha256" in said
    assert "not made again" in said


def test_a_changed_recipe_that_was_sealed_again(out: Path, verify: Verify) -> None:
    def change(manifest: Json) -> None:
        manifest["recipe"]["text"] += "[assemble]\nunit = 'step'\n"

    reseal(out, change)
    code, said = verify()
    assert code == 1
    assert "manifest.json: rows: the log gives" in said
    assert "in this file)" in said


def test_a_recipe_in_the_manifest_that_is_none(out: Path, verify: Verify) -> None:
    def change(manifest: Json) -> None:
        manifest["recipe"]["text"] = "[selct]"

    reseal(out, change)
    code, said = verify()
    assert code == 1
    assert "(recipe):1: selct: unknown key" in said


def test_a_changed_manifest(out: Path, verify: Verify) -> None:
    reseal(out, lambda manifest: manifest["teachers"].update({"openai/small": 2}))
    code, said = verify()
    assert code == 1
    assert "manifest.json: teachers: the log gives" in said


def test_files_too_few_and_too_many(out: Path, verify: Verify) -> None:
    (out / "extra.txt").touch()
    (out / "lineage.jsonl").unlink()
    (out / "manifest.sha256").unlink()
    code, said = verify()
    assert code == 1
    assert "extra.txt: an extra file" in said
    assert "lineage.jsonl: No such file" in said
    assert "manifest.sha256: No such file" in said


def test_a_manifest_cannot_lead_out_of_its_folder(out: Path, verify: Verify, tmp_path: Path) -> None:
    (out / "dropped.jsonl").unlink()
    (out / "dropped.jsonl").symlink_to(tmp_path / "recipe.toml")
    code, said = verify()
    assert code == 1
    assert "dropped.jsonl: not a file of this folder" in said


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"recipe":{"text":"x"}}'])
def test_a_manifest_that_is_none(out: Path, verify: Verify, damage: bytes) -> None:
    (out / "manifest.json").write_bytes(damage)
    code, said = verify()
    assert code == 2
    assert "no manifest of an export" in said


def test_another_log(tailrace: Run, out: Path, tmp_path: Path) -> None:
    short = file_log(tmp_path / "short", {1: (opened(1), None)})
    said = tailrace("export", "verify", out, "--data-dir", short)
    assert said.code == 1
    assert "the log ends at 1, before the export's watermark 20; is this its data folder?" in said.out
    other = file_log(tmp_path / "other", {n: (opened(n, answer="x"), None) for n in range(1, 21)})
    assert tailrace("export", "verify", out, "--data-dir", other).code == 1


def test_verify_writes_nothing_and_speaks_json(tailrace: Run, out: Path, data_dir: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = tailrace("export", "verify", out, "--json", "--data-dir", data_dir)
    assert orjson.loads(said.out)["verified"] is True
    shutil.copy(out / "lineage.jsonl", out / "dropped.jsonl")
    said = tailrace("export", "verify", out, "--json", "--data-dir", data_dir)
    assert said.code == 1
    assert len(orjson.loads(said.out)["findings"]) == 2
    assert sorted(tmp_path.rglob("*")) == before
