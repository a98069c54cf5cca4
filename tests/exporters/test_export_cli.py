"""`tailrace export` over a real store: what it writes, what it counts, what it says; nothing is left half-done."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tailrace_exporters.files import new_folder
from tailrace_exporters.formats import FORMATS
from tests.exporters.filing import amend, file_log
from tests.exporters.logged import after, completion_id, opened
from tests.exporters.pure import Log
from tests.ordinary import closed_folder, give_away, ordinary_user
from tests.typed import Run

ENTRIES = {"card.md", "dropped.jsonl", "lineage.jsonl", "manifest.json", "manifest.sha256"}
ENTRIES |= {"openai-chat", "plots", "trl-messages"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_an_export(tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path) -> None:
    said = tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir)
    assert said.code == 0, said.err
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == ENTRIES
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    stages = {stage["stage"]: stage for stage in manifest["stages"]}
    assert stages["select"] == {"stage": "select", "unit": "completions", "in": 20, "out": 20}
    assert stages["filter"]["dropped"] == {"finish:length": 1, "status:client_closed": 1}
    assert (stages["assemble"]["in"], stages["assemble"]["out"], stages["assemble"]["folded"]) == (18, 16, 2)
    assert stages["dedupe"]["dropped"] == {"duplicate": 1}
    assert manifest["rows"]["count"] == 15 == len(rows(out / "lineage.jsonl"))
    assert manifest["formats"]["trl-messages"]["dropped"] == {"mask_not_expressible": 1}
    assert manifest["teachers"] == {"openai/gpt-5-2026": 16, "openai/small": 1}
    assert sum(split["rows"] for split in manifest["splits"].values()) == 15
    assert [warning.split(": conditional")[0] for warning in manifest["warnings"]] == [
        "teacher openai/gpt-5-2026",
        "teacher openai/small",
    ]
    dropped = [(line["stage"], line["reason"], line.get("pointer")) for line in rows(out / "dropped.jsonl")]
    assert ("write", "mask_not_expressible", "/messages/2") in dropped
    assert len(dropped) == 4


def test_a_row_leads_back_to_its_completions_and_forth_to_its_lines(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tailrace("export", recipe, "--out", out, "--data-dir", data_dir)
    main, sibling = (
        next(line for line in rows(out / "lineage.jsonl") if str(completion_id(n)) in line["learned"])  # type: ignore[operator]
        for n in (5, 2)
    )
    assert main["learned"] == [str(completion_id(1)), str(completion_id(5))]
    assert sibling["learned"], sibling["context"] == ([str(completion_id(2))], [str(completion_id(1))])
    assert main["chain"] == main["group"] == sibling["chain"] == str(completion_id(1))
    assert main["split"] == sibling["split"]
    assert sibling["lines"]["trl-messages"] is None  # type: ignore[index]
    name, _, number = str(sibling["lines"]["openai-chat"]).rpartition(":")  # type: ignore[index]
    line = orjson.loads((out / name).read_bytes().split(b"\n")[int(number) - 1])
    assert [message.get("weight") for message in line["messages"]] == [None, None, 0, None, 1]


def test_two_runs_are_byte_identical_whatever_the_machine_hashes_and_speaks(
    recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    step = tmp_path / "step.toml"
    tied = recipe.read_text().replace("[split]", "[split]\nby = ['user']")
    step.write_text(f"{tied}[assemble]\nunit = 'step'\n[dedupe]\nnear = {{jaccard = 0.8}}\n[balance]\nby = 'model'\n")
    both = "import sys; from tailrace.cli import app; data, out, *recipes = sys.argv[1:]\n"
    both += "for n, each in enumerate(recipes):\n"
    both += "    app(['export', each, '--data-dir', data, '--out', f'{out}/{n}'], standalone_mode=False)\n"
    for name, seed, locale, zone in (("a", "1", "C", "UTC"), ("b", "2", "tr_TR.UTF-8", "Asia/Tokyo")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone}
        words = [sys.executable, "-c", both, str(data_dir), str(tmp_path / name), str(recipe), str(step)]
        subprocess.run(words, env=env, check=True, capture_output=True, timeout=60)
    assert len(contents(tmp_path / "a")) == 26
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_dry_run_counts_the_same_and_writes_nothing(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = tailrace("export", recipe, "--dry-run", "--json", "--data-dir", data_dir)
    assert sorted(tmp_path.rglob("*")) == before
    counted = orjson.loads(said.out)
    assert counted["rows"]["count"] == 15
    tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir)
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert {key: manifest[key] for key in ("rows", "stages", "formats")} == {
        key: counted[key] for key in ("rows", "stages", "formats")
    }


def test_options_may_come_before_the_recipe(tailrace: Run, recipe: Path, data_dir: Path) -> None:
    assert tailrace("export", "--dry-run", "--data-dir", data_dir, recipe).code == 0


def test_shards(tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text() + "shard_rows = 3\n")
    tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir)
    shards = sorted((tmp_path / "out" / "openai-chat").iterdir())
    assert shards[0].name == "train-00000.jsonl"
    assert {len(rows(shard)) for shard in shards} <= {1, 2, 3}
    assert sum(len(rows(shard)) for shard in shards) == 15


def test_where_since_and_until(tailrace: Run, recipe: Path, data_dir: Path) -> None:
    def count(select: str) -> int:
        recipe.write_text(f"[select]\n{select}\n[assemble]\nunit = 'step'\n")
        said = tailrace("export", recipe, "--dry-run", "--json", "--data-dir", data_dir)
        return int(orjson.loads(said.out)["stages"][0]["out"])

    assert count("where = 'model = small'") == 1
    assert count("where = 'tags.app = shop'") == 1
    assert count("where = 'origin = export'") == 0
    assert count("where = 'chain.steps > 1'") == 5
    assert count("where = 'children > 0'") == 2
    assert count("since = 2026-09-21T14:23:20Z") == 11  # the tenth's own start: inclusive
    assert count("until = 2026-09-21T14:23:20Z") == 9


def test_preview_shows_what_is_learned(tailrace: Run, recipe: Path, data_dir: Path) -> None:
    said = tailrace("export", "preview", recipe, "--rows", "1", "--data-dir", data_dir)
    assert said.code == 0, said.err
    assert "learn  assistant  It rains." in said.out
    first = orjson.loads(tailrace("export", "preview", recipe, "--rows", "1", "--json", "--data-dir", data_dir).out)
    assert first["train"] == [False, True, False, True]
    assert first["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"city":"Bonn"}'
    assert (
        len(tailrace("export", "preview", recipe, "--rows", "4", "--json", "--data-dir", data_dir).out.splitlines())
        == 4
    )
    recipe.write_text("[select]\nwhere = 'model = none'\n")
    assert "no rows" in tailrace("export", "preview", recipe, "--data-dir", data_dir).out


def test_formats_lists_each_with_what_it_converts_and_refuses(tailrace: Run) -> None:
    said = tailrace("export", "formats")
    assert said.code == 0
    for name, each in FORMATS.items():
        assert f"{name}: {each.about}" in said.out
        assert all(word in said.out for word in (*each.rules, *each.reasons))
    assert orjson.loads(tailrace("export", "formats", "--json").out).keys() == FORMATS.keys()


def test_an_empty_selection_is_an_export_with_a_warning(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    recipe.write_text("[select]\nwhere = 'model = none'\n")
    said = tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir)
    assert said.code == 0
    assert "warning: openai-chat: 0 rows" in said.out
    assert tailrace("export", "verify", tmp_path / "out", "--data-dir", data_dir).code == 0


def test_wrong_calls_say_where_and_what_to_do_and_write_nothing(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    def refused(*words: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        said = tailrace("export", *words)
        assert said.code == 2, said
        assert sorted(tmp_path.rglob("*")) == before
        return said.err

    there = tmp_path / "there"
    there.mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert "--out DIR" in refused(recipe, "--data-dir", data_dir)
    assert "exists already" in refused(recipe, "--out", there, "--data-dir", data_dir)
    assert "exists already" in refused(recipe, "--out", link, "--data-dir", data_dir)
    assert "must name a new folder" in refused(recipe, "--out", "/", "--data-dir", data_dir)
    assert "no store there yet" in refused(recipe, "--out", tmp_path / "out", "--data-dir", there)
    assert "cannot be read" in refused(tmp_path / "none.toml", "--out", tmp_path / "out")
    assert "cannot be made" in refused(recipe, "--out", "/proc/none/out", "--data-dir", data_dir)
    assert "give the folder of an export" in refused("verify", there, "--data-dir", data_dir)
    recipe.write_text("[select]\nwhere = 'status = okk'\n")
    assert f"{recipe}:2: select.where: " in refused(recipe, "--out", tmp_path / "out", "--data-dir", data_dir)


def test_where_an_ordinary_user_may_not_write(
    tailrace: Run, recipe: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tailrace("export", recipe, "--dry-run", "--data-dir", data_dir)  # imports
    with closed_folder(0o555) as folder:
        data, mine = folder.parent / "data", folder.parent / recipe.name
        data.mkdir()
        shutil.copy(data_dir / "tailrace.db", data)
        shutil.copy(recipe, mine)
        give_away(data)
        monkeypatch.chdir(folder.parent)
        with ordinary_user():
            said = tailrace("export", mine, "--out", folder / "out", "--data-dir", data)
            assert tailrace("export", mine, "--dry-run", "--data-dir", data).code == 0, "it can read"
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        assert "cannot be made (Permission denied); choose another --out" in said.err
        assert not any(folder.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "out") as files:
            files.write("train.jsonl", b"{}\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_taken_over_and_a_living_one_is_not(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    hold = (
        "import sys, pathlib; from tailrace_exporters.files import new_folder\n"
        "with new_folder(pathlib.Path(sys.argv[1])) as files:\n"
        "    files.write('half.jsonl', b'{}'); files.write('old/half.jsonl', b'{}')\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        said = tailrace("export", recipe, "--out", out, "--data-dir", data_dir)
        assert said.code == 2
        assert "another export is writing there" in said.err
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    assert not out.exists()
    assert (tmp_path / ".out.tailrace-partial").is_dir()
    assert tailrace("export", recipe, "--out", out, "--data-dir", data_dir).code == 0
    assert {path.name for path in out.iterdir()} == ENTRIES
    assert not (tmp_path / ".out.tailrace-partial").exists()


def test_something_else_in_the_hidden_folders_place_is_left_alone(
    tailrace: Run, recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    (tmp_path / ".out.tailrace-partial").symlink_to(tmp_path / "elsewhere")
    said = tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data_dir)
    assert (said.code, "is in the way" in said.err) == (2, True)
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_an_export_is_the_same_after_the_log_grew(tailrace: Run, recipe: Path, tmp_path: Path) -> None:
    """New completions, a chain that went on, and parents filed late: the old watermark means the old log.

    2 waited alone for 30; 4 was linked to 1 while it waited for 32, which continues 1.
    """
    one, late = opened(1), opened(30)
    awaited = after(one, "more", seq=32, answer="late")
    log: Log = {
        1: (one, None),
        2: (after(late, "x", seq=2, answer="early"), None),
        3: (opened(3), None),
        4: (after(awaited, "y", seq=4, answer="early too"), 1),
    }
    store = file_log(tmp_path / "data", log)
    recipe.write_text(
        "[select]\nwhere = '''NOT (seq = 3 AND children > 0) AND chain.completions < 3 AND chain.steps < 4"
        " AND relation IN (start, continue)'''\n"
    )
    assert tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", store).code == 0
    before = rows(tmp_path / "out" / "lineage.jsonl")
    assert [row["learned"] for row in before] == [
        [str(completion_id(n)) for n in some] for some in ((2,), (3,), (1, 4))
    ]
    grown: Log = {30: (late, None), 31: (after(opened(3), "on", seq=31, answer="and on"), 3), 32: (awaited, 1)}
    file_log(store, grown)
    amend(store, "completion", 2, parent=30)
    amend(store, "completion", 4, parent=32)
    amend(store, "completion", 31, chain=3)
    amend(store, "completion", 3, children=1)
    amend(store, "chain", 3, completions=7, steps=7)
    said = tailrace("export", "verify", tmp_path / "out", "--data-dir", store)
    assert said.code == 0, said.out
    assert "3 rows, made again byte for byte" in said.out
    tailrace("export", recipe, "--out", tmp_path / "new", "--data-dir", store)
    assert len(rows(tmp_path / "new" / "lineage.jsonl")[-1]["learned"]) == 3  # type: ignore[arg-type]  # a list
