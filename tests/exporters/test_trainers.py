"""What the open trainers' loaders do to lines that are not as they want them (DATASETS 4): ours are, or are refused."""

import subprocess
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.rows import Judgement, Kind, Row
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, after, opened, said, user
from tests.exporters.test_formats import CALL, CALLING, RESULT, WEATHER, row
from tests.typed import Run

SECOND: Final = CALL | {"id": "call_2"}
PARALLEL: Final = CALLING | {"tool_calls": [CALL, SECOND]}
TOOLS: Final = row([user("rain?"), CALLING, RESULT, said("It rains.")], tools=[WEATHER])


def line(name: str, made: Row) -> Any:
    return FORMATS[name].project(made).value


def refused(name: str, made: Row) -> tuple[str, str]:
    with pytest.raises(UnfitError) as caught:
        FORMATS[name].project(made)
    return caught.value.reason, caught.value.pointer


def problems(name: str, value: Json) -> list[str]:
    return [problem.pointer for problem in FORMATS[name].check(value)]


def test_llama_factory_gets_turns_that_alternate_and_an_even_number_of_them() -> None:
    turns = line("sharegpt", TOOLS)["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "function_call", "observation", "gpt"]
    two = row([user("a"), user("b"), said("c")])
    assert refused("sharegpt", two) == ("turns_unfit", "/messages/1/role")
    last = row([user("a"), said("b"), user("c")])
    assert refused("sharegpt", last) == ("turns_unfit", "/messages/2/role")
    assert problems("sharegpt", {"conversations": turns[:3], "system": "", "tools": ""}) == ["/conversations"]


def test_llama_factory_gets_parallel_calls_in_one_turn_and_their_results_in_one() -> None:
    result = RESULT | {"tool_call_id": "call_2", "content": "dry"}
    made = row([user("rain?"), PARALLEL, RESULT, result, said("Both.")], tools=[WEATHER])
    _, calls, results, _ = line("sharegpt", made)["conversations"]
    assert [call["name"] for call in orjson.loads(calls["value"])] == ["weather", "weather"]
    assert results == {"from": "observation", "value": "wet\ndry"}
    assert "tool_results_joined" in FORMATS["sharegpt"].project(made).rules


def test_llama_factory_would_overwrite_words_and_calls_and_take_words_for_images() -> None:
    beside = row([user("rain?"), CALLING | {"content": "Let me see."}, RESULT, said("Yes.")], tools=[WEATHER])
    assert refused("sharegpt", beside) == ("words_and_calls", "/messages/1/content")
    assert refused("sharegpt", row([user("what is <image>?"), said("A tag.")])) == (
        "media_token_in_text",
        "/messages/0/content",
    )


def test_tools_of_sharegpt_are_text() -> None:
    tools = line("sharegpt", TOOLS)["tools"]
    assert orjson.loads(tools) == [WEATHER["function"]]
    assert problems("sharegpt", {"conversations": [], "system": "", "tools": []}) == ["/conversations", "/tools"]


def test_torchtune_would_learn_the_question_where_content_is_null() -> None:
    assert refused("torchtune", TOOLS) == ("tools_unfit", "/tools")
    called = row([user("rain?"), CALLING, RESULT, said("Yes.")])
    assert refused("torchtune", called) == ("tools_unfit", "/messages/1")
    null = {"messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": None}]}
    assert problems("torchtune", null) == ["/messages/1/content"]


@pytest.mark.parametrize("name", ["torchtune", "alpaca", "sharegpt"])
def test_a_system_prompt_stands_at_the_beginning_or_the_row_is_refused(name: str) -> None:
    late = row([user("U"), {"role": "system", "content": "S"}, said("A")])
    assert refused(name, late) == ("system_not_first", "/messages/1/role")
    two = row([{"role": "system", "content": "S"}, {"role": "developer", "content": "D"}, user("U"), said("A")])
    assert "system_messages_joined" in FORMATS[name].project(two).rules
    assert "S\n\nD" in orjson.dumps(line(name, two)).decode().replace("\\n", "\n")


@pytest.mark.parametrize("name", ["trl-messages", "sharegpt", "alpaca", "torchtune"])
def test_what_learns_every_answer_takes_no_row_that_does_not(name: str) -> None:
    made = row([user("one"), said("1"), user("two"), said("2")], learn=[3])
    assert refused(name, made) == ("mask_not_expressible", "/messages/1")


@pytest.mark.parametrize("name", ["trl-prompt-completion", "mlx"])
def test_what_learns_the_last_answer_takes_no_row_that_learns_more(name: str) -> None:
    assert refused(name, row([user("one"), said("1"), user("two"), said("2")]))[0] == "mask_not_expressible"
    assert refused(name, row([user("one"), said("1"), user("two"), said("2")], learn=[1]))[0] == "mask_not_expressible"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_target_is_given_a_user_to_learn(name: str) -> None:
    """In DATASETS' words: training on a token that is no assistant's is an error."""
    made = row([user("U"), said("A")], learn=[0, 1])
    if name == "csv":
        return  # a table of labels: nobody learns anything from it
    if Kind.CONVERSATION in FORMATS[name].kinds:
        assert refused(name, made) == ("learns_no_answer", "/train/0")


def test_axolotl_is_told_of_each_message_whether_it_is_learned() -> None:
    made = line("axolotl", row([user("one"), said("1"), user("two"), said("2")], learn=[3]))
    assert [message["train"] for message in made["messages"]] == [False, False, False, True]
    made["messages"][0]["train"] = True
    del made["messages"][1]["train"]
    assert problems("axolotl", made) == ["/messages/0/train", "/messages/1/train"]


def test_axolotls_arguments_and_parameters_are_text_so_that_columns_do_not_merge() -> None:
    made = line("axolotl", TOOLS)
    call, tool = made["messages"][1]["tool_calls"][0], made["tools"][0]
    assert orjson.loads(call["function"]["arguments"]) == {"city": "Zürich"}
    assert orjson.loads(tool["function"]["parameters"]) == WEATHER["function"]["parameters"]  # type: ignore[index]


def test_a_pair_that_this_target_cannot_tell_apart_is_refused() -> None:
    twin = said("A") | {"annotations": [{"type": "x"}]}
    pair = row(
        [user("U"), said("A")], kind=Kind.PREFERENCE, judgement=Judgement("told", None, rejected=twin), learn=[1]
    )
    assert refused("trl-preference", pair) == ("equal_outputs", "/messages/1")


def test_a_thumb_is_a_label() -> None:
    made = row([user("U"), said("A")], kind=Kind.JUDGED, judgement=Judgement("thumb", None, wanted=False))
    assert line("trl-kto", made)["label"] is False
    assert problems("trl-kto", line("trl-kto", made) | {"label": "up"}) == ["/label"]


@pytest.fixture
def folder(tailrace: Run, tmp_path: Path) -> Path:
    """An export of small conversations in three splits, for targets that want files beside, or names of their own."""
    first = {n: (opened(n), None) for n in range(1, 31)}
    log: dict[int, tuple[Call, int | None]] = {**first, 31: (after(first[1][0], "more", seq=31, answer="yes"), 1)}
    data = file_log(tmp_path / "data", log)
    (tmp_path / "recipe.toml").write_text(
        'name = "small"\n[split]\ntrain = 0.5\nvalidation = 0.3\ntest = 0.2\n'
        '[write]\nformats = ["mlx", "sharegpt", "alpaca", "axolotl"]\nshard_rows = 10\n'
    )
    said_ = tailrace("export", tmp_path / "recipe.toml", "--out", tmp_path / "out", "--data-dir", data)
    assert said_.code == 0, said_.err
    assert tailrace("export", "verify", tmp_path / "out", "--data-dir", data).code == 0
    return tmp_path / "out"


def test_mlx_finds_its_files_by_their_names_one_a_split(folder: Path) -> None:
    assert {path.name for path in (folder / "mlx").iterdir()} == {"train.jsonl", "valid.jsonl", "test.jsonl"}


@pytest.mark.parametrize("name", ["sharegpt", "alpaca"])
def test_llama_factory_finds_every_file_in_its_register(folder: Path, name: str) -> None:
    register = orjson.loads((folder / name / "dataset_info.json").read_bytes())
    assert {entry["file_name"] for entry in register.values()} == {
        path.name for path in (folder / name).glob("*.jsonl")
    }
    assert all(key.startswith("small_") for key in register)


def test_axolotl_finds_the_mark_in_the_settings_beside(folder: Path) -> None:
    settings = orjson.loads((folder / "axolotl" / "datasets.json").read_bytes())["datasets"]
    assert {each["message_field_training"] for each in settings} == {"train"}
    assert {each["path"] for each in settings} == {path.name for path in (folder / "axolotl").glob("*.jsonl")}


def test_the_manifest_seals_what_stands_beside(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "manifest.sha256"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0
    assert "sharegpt/dataset_info.json" in orjson.loads((folder / "manifest.json").read_bytes())["files"]
