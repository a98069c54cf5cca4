"""The trainers beside TRL: what each learns of a target's file is what was marked."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlx_lm.tuner.datasets import ChatDataset, load_dataset
from torchtune.data import Message, OpenAIToMessages, validate_messages

from tests.loaders import tiny
from tests.loaders.checkers import files
from tests.loaders.places import asked, lines


def mlx(folder: Path, _scratch: Path) -> int:
    """With `--mask-prompt` the last message is learned."""
    found = [row for split in mlx_learned(folder, mask_prompt=True) for row in split]
    assert found == [tiny.written(row["messages"][-1]) for row in lines(_mlx_files(folder))]
    return len(found)


def mlx_learned(folder: Path, *, mask_prompt: bool) -> list[list[str]]:
    """What mlx-lm learns of each row of train, valid and test."""
    reader = tiny.tokenizer()
    told = SimpleNamespace(data=str(folder), train=True, test=False, mask_prompt=mask_prompt)
    found = []
    for split in load_dataset(told, reader):
        if split:
            assert isinstance(split, ChatDataset), "taken for something else by its first row"
        processed = [split.process(split[at]) for at in range(len(split))]
        found.append([str(reader.decode(tokens[offset:])) for tokens, offset in processed])
    return found


def _mlx_files(folder: Path) -> list[Path]:
    return [path for name in ("train", "valid", "test") if (path := folder / f"{name}.jsonl").exists()]


def torchtune(folder: Path, _scratch: Path) -> int:
    """Every answer is unmasked with its own words; all else is masked."""
    rows = lines(files(folder))
    for row in rows:
        made = torchtune_messages(row)
        validate_messages(made)
        assert [message.text_content for message in made] == [message["content"] for message in row["messages"]]
        assert [not message.masked for message in made] == [
            message["role"] == "assistant" for message in row["messages"]
        ]
    return len(rows)


def torchtune_messages(row: Any) -> list[Message]:
    """What torchtune reads in a row."""
    found: list[Message] = OpenAIToMessages()(row)["messages"]
    return found


def sharegpt(folder: Path, scratch: Path) -> int:
    """No row is skipped, no system prompt grows, every turn is the turn that was exported."""
    found, given = _llama_factory(folder, scratch)
    roles = {"human": "user", "gpt": "assistant", "function_call": "function", "observation": "observation"}
    for made, row in zip(found, given, strict=True):
        turns = [*made["_prompt"], *made["_response"]]
        expected = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
        assert turns == expected
        assert (made["_system"], made["_tools"]) == (row["system"], row["tools"])
    return len(found)


def alpaca(folder: Path, scratch: Path) -> int:
    """The output is the response, the history comes before the instruction."""
    found, given = _llama_factory(folder, scratch)
    for made, row in zip(found, given, strict=True):
        assert [turn["content"] for turn in made["_prompt"]] == [
            *(text for pair in row["history"] for text in pair),
            row["instruction"],
        ]
        assert [turn["content"] for turn in made["_response"]] == [row["output"]]
        assert made["_system"] == row["system"]
    return len(found)


def llama_factory(folder: Path, scratch: Path) -> dict[str, Any]:
    """What LLaMA-Factory makes of a folder with `dataset_info.json`: `{"rows"}` or `{"error"}`."""
    made: dict[str, Any] = asked("llamafactory", {"folder": str(folder), "cache": str(scratch)})
    return made


def _llama_factory(folder: Path, scratch: Path) -> tuple[list[Any], list[Any]]:
    made = llama_factory(folder, scratch)
    return made["rows"], lines(files(folder))


def axolotl(folder: Path, scratch: Path) -> int:
    """By the settings beside the files: the marked answers are learned, and nothing else."""
    settings = json.loads((folder / "datasets.json").read_text())
    asks = {"datasets": settings["datasets"], "folder": str(folder), "cache": str(scratch)}
    found = asked("axolotl", asks)["rows"]
    given = lines([folder / each["path"] for each in settings["datasets"]])
    expected = ["".join(tiny.written(each) for each in row["messages"] if each["train"]) for row in given]
    assert [row["learned"] for row in found] == expected
    return len(found)
