"""The traps of the targets' own loaders, each sprung: the naive line comes to harm, ours does not."""

import json
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALL, CALLING, RESULT, WEATHER, row
from tests.loaders.places import lines

pytestmark = pytest.mark.loaders

TURNS: Final = [user("rain?"), CALLING, RESULT, said("It rains.")]


def plain(text: str, answer: str) -> list[Json]:
    return [user(text), {"role": "assistant", "content": answer}]


def of(module: str) -> Any:
    return import_module(f"tests.loaders.{module}")


def template(model: str) -> str:
    """The chat template that a model ships with, as TRL keeps it."""
    return (files("trl") / "chat_templates" / f"{model}.jinja").read_text()


class TestLlamaFactory:
    """Its `openai` formatting, which takes OpenAI's lines as they are."""

    def openai(self, folder: Path, *rows: Json) -> dict[str, Any]:
        columns = {"messages": "messages", "system": "system", "tools": "tools"}
        tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
        tags |= {"observation_tag": "tool", "function_tag": "function_call", "system_tag": "system"}
        entry = {"file_name": "a.jsonl", "formatting": "openai", "columns": columns, "tags": tags}
        return self.converted(folder, {"a": entry}, *rows)

    def converted(self, folder: Path, register: Json, *rows: Json) -> dict[str, Any]:
        (folder / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        (folder / "dataset_info.json").write_text(json.dumps(register))
        made: dict[str, Any] = of("trainers").llama_factory(folder, folder / "cache")
        return made

    def ours(self, folder: Path, *messages: Json, tools: Json = None) -> dict[str, Any]:
        line = FORMATS["sharegpt"].project(row(list(messages), tools=tools)).value
        entry = {"file_name": "a.jsonl", "formatting": "sharegpt"}
        columns = {"messages": "conversations", "system": "system", "tools": "tools"}
        made: dict[str, Any] = self.converted(folder, {"a": entry | {"columns": columns}}, line)["rows"][0]
        return made

    def test_it_writes_into_the_system_prompt(self, tmp_path: Path) -> None:
        system = {"role": "system", "content": "Be kind."}
        (made,) = self.openai(tmp_path, {"messages": [system, *plain("U", "A")]})["rows"]
        assert made["_system"] == "Be kind.\ndetailed thinking off"
        assert self.ours(tmp_path, system, *plain("U", "A"))["_system"] == "Be kind."

    def test_it_overwrites_words_beside_calls(self, tmp_path: Path) -> None:
        words = CALLING | {"content": "Let me see."}
        (made,) = self.openai(tmp_path, {"messages": [user("rain?"), words, RESULT, said("Yes.")]})["rows"]
        assert "Let me see." not in json.dumps(made)

    def test_it_fails_without_content_and_on_a_developer(self, tmp_path: Path) -> None:
        bare = {name: value for name, value in CALLING.items() if name != "content"}
        # one row without the key is enough only where no row has it: `datasets` gives it to all others
        made = self.openai(tmp_path, {"messages": [bare]})
        assert made["error"] == "KeyError('content')"
        developer = {"role": "developer", "content": "D"}
        assert self.openai(tmp_path, {"messages": [developer, *plain("U", "A")]})["error"] == "KeyError('developer')"
        assert self.ours(tmp_path, developer, *plain("U", "A"))["_system"] == "D"

    def test_two_answers_in_a_row_cost_the_whole_example(self, tmp_path: Path) -> None:
        twice = [*plain("U", "A"), {"role": "assistant", "content": "B"}, user("V")]
        (made,) = self.openai(tmp_path, {"messages": twice})["rows"]
        assert (made["_prompt"], made["_response"]) == ([], [])

    def test_an_output_that_is_no_text_is_nothing_to_learn(self, tmp_path: Path) -> None:
        line = {"instruction": "U", "input": "", "output": {"a": 1}, "system": ""}
        columns = {"prompt": "instruction", "query": "input", "response": "output", "system": "system"}
        entry = {"file_name": "a.jsonl", "columns": columns}
        (made,) = self.converted(tmp_path, {"a": entry}, line)["rows"]
        assert made["_response"] == []
        line |= {"output": '{"a": 1}'}
        (made,) = self.converted(tmp_path, {"a": entry}, line)["rows"]
        assert made["_response"] == [{"role": "assistant", "content": '{"a": 1}'}]


def test_torchtune_learns_to_echo_the_question(exported: dict[str, Path]) -> None:
    made = of("trainers").torchtune_messages({"messages": TURNS})
    assert (made[1].text_content, made[1].masked) == ("rain?", False), "the call is gone, the question is learned"
    assert all(
        type(message["content"]) is str
        for each in lines(sorted(exported["torchtune"].glob("*.jsonl")))
        for message in each["messages"]
    )


def test_trl_learns_the_users_words_by_default(exported: dict[str, Path], tmp_path: Path) -> None:
    trl = of("hugging_face")
    rows = trl.loaded([exported["trl-messages"] / "valid.jsonl"], tmp_path).select(range(1))
    (naive,) = trl.learned(trl.trainer(rows, tmp_path))
    (ours,) = trl.learned(trl.trainer(rows, tmp_path, assistant_only_loss=True))
    (question,) = (each["content"] for each in rows[0]["messages"] if each["role"] == "user")
    assert question in naive
    assert question not in ours
    assert ours


def test_mlx_learns_the_users_words_without_mask_prompt(exported: dict[str, Path]) -> None:
    (naive, *_), (ours, *_) = (of("trainers").mlx_learned(exported["mlx"], mask_prompt=each) for each in (False, True))
    question = lines([exported["mlx"] / "train.jsonl"])[0]["messages"][1]["content"]
    assert question in naive[0]
    assert question not in ours[0]


def test_mlx_takes_every_file_for_what_its_first_row_is(tmp_path: Path) -> None:
    datasets = import_module("mlx_lm.tuner.datasets")
    mixed = [{"text": "a"}, {"messages": plain("U", "A")}]
    made = datasets.create_dataset(mixed, of("tiny").tokenizer(), object())
    with pytest.raises(KeyError):
        made.process(made[1])


def test_a_parquet_of_objects_gives_each_the_keys_of_all_others(exported: dict[str, Path], tmp_path: Path) -> None:
    datasets = import_module("datasets")
    tools = [WEATHER, {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "x": 1}}}]
    datasets.Dataset.from_list([{"tools": tools}]).to_parquet(tmp_path / "a.parquet")
    again = datasets.load_dataset("parquet", data_files=str(tmp_path / "a.parquet"), cache_dir=str(tmp_path))
    assert again["train"][0]["tools"][0] != WEATHER
    rows = of("hugging_face").loaded([exported["parquet"] / "train.parquet"], tmp_path, "parquet")
    found = [json.loads(text) for text in rows["tools"] if text]
    assert found
    spoken = of("spoken")
    assert all(each in (spoken.WEATHER, spoken.PRICE) for tools in found for each in tools)


def test_templates_leave_reasoning_out_that_has_a_key_of_its_own() -> None:
    """TRL's own copies of what models ship with: most know no such key."""
    reasoned = [user("3 × 3?"), {"role": "assistant", "content": "Nine.", "reasoning_content": "3 × 3 is 9."}]
    for name in ("llama3", "phi3", "qwen2_5", "gemma"):
        reader = of("tiny").tokenizer(template(name))
        text = reader.apply_chat_template(reasoned, tokenize=False)
        assert "Nine." in text
        assert "3 × 3 is 9." not in text, name
    asked = row(reasoned)
    assert "reasoning_omitted" in FORMATS["trl-messages"].project(asked).rules, "left out, and counted"
    assert "reasoning_content" in FORMATS["together"].project(asked).value["messages"][1]


def test_qwen_takes_the_thoughts_of_earlier_turns_away() -> None:
    """So a row that learns all turns is not what the model sees when it serves."""
    reader = of("tiny").tokenizer(template("qwen3"))
    turns = [*plain("U", "<think>\nearlier\n</think>\n\nA"), *plain("V", "<think>\nlater\n</think>\n\nB")]
    text = reader.apply_chat_template(turns, tokenize=False)
    assert "earlier" not in text
    assert "later" in text


class TestMistral:
    """Its own validator for fine-tuning."""

    def test_openais_ids_are_refused_and_ours_are_not(self) -> None:
        naive = FORMATS["openai-chat"].project(row(TURNS, tools=[WEATHER])).value
        assert "Tool call id" in str(of("checkers").mistral_complaint(naive))
        ours = FORMATS["mistral"].project(row(TURNS, tools=[WEATHER], learn=[3])).value
        assert of("checkers").mistral_complaint(ours) is None

    def test_a_row_must_end_with_an_answer(self) -> None:
        assert of("checkers").mistral_complaint({"messages": [*plain("U", "A"), user("V")]}) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"parallel_tool_calls": True},
        {"metadata": {}},
        {"messages": [{"role": "developer", "content": "D"}, *plain("U", "A")]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
                {"role": "assistant", "content": [{"type": "text", "text": "A"}]},
            ]
        },
    ],
    ids=["parallel_tool_calls", "metadata", "developer", "image by address"],
)
def test_together_refuses(change: dict[str, Json], tmp_path: Path) -> None:
    check = import_module("together.lib.utils.files").check_file
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": plain("U", "A")}) + "\n")
    assert check(path)["is_check_passed"]
    path.write_text(json.dumps({"messages": plain("U", "A")} | change) + "\n")
    assert not check(path)["is_check_passed"]


@pytest.mark.parametrize(
    "messages",
    [
        plain("U", "A")[:1],
        [user("U"), {"role": "assistant", "content": "A", "weight": 2}],
        [user("U"), CALLING | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": {}}}]}],
        [user("U"), CALLING, {"role": "tool", "content": "wet"}],
        [{"role": "oracle", "content": "U"}, *plain("U", "A")],
    ],
    ids=["too short", "weight 2", "arguments no text", "tool without id", "unknown role"],
)
def test_the_schema_of_fine_tuning_refuses(messages: list[Json]) -> None:
    schema = of("checkers").openai("chat")
    assert schema.is_valid({"messages": TURNS[:1] + plain("U", "A")[1:]})
    assert not schema.is_valid({"messages": messages})


def test_nova_refuses_words_that_its_own_prompt_is_made_of(exported: dict[str, Path]) -> None:
    (one, *_) = lines([exported["bedrock-converse"] / "valid.jsonl"])
    one["messages"][0]["content"] = [{"text": "User: hello"}]
    assert "User:" in str(of("checkers").nova_complaint([one]))
