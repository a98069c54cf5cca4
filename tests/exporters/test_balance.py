"""`[balance]`: no value has too many rows in a split, whatever comes and in which order; all that goes is counted."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import RecipeError, WorkFailed
from tailrace_exporters import spool
from tailrace_exporters.balance import Balance
from tailrace_exporters.recipe import parse_recipe
from tailrace_exporters.rows import Dropped, Judgement, Kind, Placed, Row
from tests.exporters.filing import file_log
from tests.exporters.logged import after, completion_id, opened, said
from tests.exporters.pure import Log
from tests.exporters.test_export_labels import label, say
from tests.typed import Run


def placed(seq: int, value: str | None, split: str = "train") -> Placed:
    call = opened(seq)
    row = Row(call, call.conversation, None, None, None, (False, False, True), (call,), balance=value)
    return Placed(row, seq.to_bytes(32, "big"), split, call.id, call.id)


def through(rows: Sequence[Placed], max_ratio: float, seed: int = 0) -> tuple[list[Placed], list[Dropped]]:
    stage = Balance(max_ratio, seed)
    assert not [found for row in rows for found in stage.take(row)]
    found = list(stage.end())
    return [row for row in found if isinstance(row, Placed)], [row for row in found if isinstance(row, Dropped)]


VALUES = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from(["train", "test"])), max_size=40)


@given(VALUES, st.sampled_from([1.0, 1.5, 3.0]), st.integers(0, 2))
def test_the_ratio_holds_in_each_split_and_no_more_goes_than_it_asks(
    drawn: list[tuple[str | None, str]], max_ratio: float, seed: int
) -> None:
    rows = [placed(seq, *each) for seq, each in enumerate(drawn, 1)]
    stays, dropped = through(rows, max_ratio, seed)
    assert [row.row.head.seq for row in stays] == sorted(row.row.head.seq for row in stays)
    assert len(stays) + len(dropped) == len(rows)
    for split in ("train", "test"):
        came = Counter(row.row.balance for row in rows if row.split == split and row.row.balance)
        left = Counter(row.row.balance for row in stays if row.split == split and row.row.balance)
        most = int(min(came.values(), default=0) * max_ratio)
        assert left == {value: min(count, most) for value, count in came.items()}
    assert sum(row.row.balance is None for row in stays) == sum(value is None for value, _ in drawn)
    assert all(drop.reason.startswith("balanced_away:") for drop in dropped)


def test_which_rows_stay_is_drawn_by_the_seed_and_not_by_their_place() -> None:
    rows = [placed(seq, "plenty") for seq in range(1, 60)] + [placed(seq, "rare") for seq in range(60, 70)]
    numbers = {seed: {row.row.head.seq for row in through(rows, 2, seed)[0]} for seed in range(3)}
    assert numbers[0] != numbers[1] != numbers[2]
    assert {row.row.head.seq for row in through(rows[::-1], 2, 0)[0]} == numbers[0]
    assert numbers[0] != set(range(1, 21)) | set(range(60, 70))


def test_rows_come_back_from_the_disk_as_they_went() -> None:
    one = placed(1, "x")
    two = after(opened(1), "more", seq=2, answer="and")
    judgement = Judgement("retry", 0.5, rejected=said("no"), rejected_by=(two,))
    full = replace(one.row, kind=Kind.PREFERENCE, judgement=judgement, context=(two,))
    kept = spool.Spool()
    kept.add(replace(one, row=full))
    for _ in range(2):
        (found,) = kept
        assert (found.hash, found.split, found.row.messages, found.row.train) == (
            one.hash,
            one.split,
            one.row.messages,
            one.row.train,
        )
        assert found.row.head is found.row.learned[0]
        assert found.row.judgement is not None
        assert [each.id for each in found.row.judgement.rejected_by] == [completion_id(2).bytes]
        assert found.row.context == found.row.judgement.rejected_by


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("r+b", buffering=0))  # noqa: SIM115 - the spool closes it
    with pytest.raises(WorkFailed, match=r"cannot be kept \(No space left on device\); free space, or set TMPDIR"):
        spool.Spool().add(placed(1, None))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("by = 'modle'", 'r.toml:2: balance.by: unknown field "modle"; did you mean model?'),
        ("by = 'label.'", "a label is written label.NAME, or next.label.NAME"),
        ("by = 'feedback.score'", "a completion may have several of feedback.score; give a field of which it has one"),
        ("by = 'model'\nmax_ratio = 0.5", "r.toml:3: balance.max_ratio: expected at least 1.0, found 0.5"),
        ("max_ratio = 2.0", "r.toml:1: balance.by: "),
    ],
)
def test_a_mistake_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(f"[balance]\n{text}\n", "r.toml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_export_by_tags_and_by_model(tailrace: Run, tmp_path: Path) -> None:
    apps = ["shop"] * 9 + ["bank"] * 2 + [None]
    tags = [app and orjson.dumps({"app": app}).decode() for app in apps]
    log: Log = {n: (opened(n, tags=tag, model="m", served_model=None), None) for n, tag in enumerate(tags, 1)}
    file_log(tmp_path / "data", log)
    recipe = tmp_path / "recipe.toml"

    def dropped(by: str) -> dict[str, int]:
        recipe.write_text(f"[balance]\nby = '{by}'\nmax_ratio = 2\n")
        out = tmp_path / by
        made = tailrace("export", recipe, "--out", out, "--data-dir", tmp_path / "data")
        assert made.code == 0, made.err
        assert tailrace("export", "verify", out, "--data-dir", tmp_path / "data").code == 0
        found = orjson.loads((out / "manifest.json").read_bytes())["stages"][-1]
        assert (found["stage"], found["in"]) == ("balance", 12)
        return dict(found["dropped"])

    assert dropped("tags.app") == {"balanced_away:shop": 5}
    assert dropped("model") == {}


def test_an_export_by_a_label_counts_what_had_been_said_by_then(tailrace: Run, tmp_path: Path) -> None:
    data, out, recipe = tmp_path / "data", tmp_path / "out", tmp_path / "recipe.toml"
    file_log(data, {n: (opened(n), None) for n in range(1, 11)})
    say(data, *(label(n, n, "confirm" if n <= 6 else "reject") for n in range(1, 9)))
    recipe.write_text("[balance]\nby = 'label.intent'\nmax_ratio = 2\n")
    assert tailrace("export", recipe, "--out", out, "--data-dir", data).code == 0
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert manifest["stages"][-1]["dropped"] == {"balanced_away:confirm": 2}
    assert manifest["labels"] == {"intent": {"train": {"confirm": 4, "reject": 2}}}
    say(data, label(20, 1, "reject", source="human"))
    assert tailrace("export", "verify", out, "--data-dir", data).code == 0
