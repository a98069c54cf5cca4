"""Asks Axolotl's `chat_template` strategy: files and their settings in, what each row learns out. JSON both ways."""

import json
import sys
from typing import Any

from axolotl.prompt_strategies.chat_template import load
from axolotl.utils.dict import DictDefault
from datasets import load_dataset

from tests.loaders import tiny


def tokenised(settings: dict[str, Any], folder: str, cache: str) -> list[dict[str, Any]]:
    """Each row of the file that `settings` describe: all its text, and what of it is learned."""
    reader = tiny.tokenizer()
    configuration = DictDefault({"sequence_len": 8192, "train_on_inputs": False, "chat_template": "tokenizer_default"})
    strategy = load(reader, configuration, DictDefault(settings))
    rows = load_dataset("json", data_files=f"{folder}/{settings['path']}", split="train", cache_dir=cache)
    found = []
    for row in rows:
        made = strategy.tokenize_prompt(row)
        text = reader.decode(made["input_ids"])
        found.append({"text": text, "learned": tiny.learned(reader, made["input_ids"], made["labels"])})
    return found


def main() -> None:
    """One question, one answer."""
    question = json.load(sys.stdin)
    rows = [row for each in question["datasets"] for row in tokenised(each, question["folder"], question["cache"])]
    sys.stdout.write("\n" + json.dumps({"rows": rows}) + "\n")


main()
