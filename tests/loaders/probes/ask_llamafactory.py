"""Asks LLaMA-Factory: a folder with `dataset_info.json` in, the rows as it would train them out. JSON both ways."""

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

stand_in = ModuleType("torchaudio")  # imported by LLaMA-Factory for sound, which no row here has; PyPI's wants CUDA
stand_in.__spec__ = ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = stand_in

from datasets import load_dataset  # noqa: E402
from llamafactory.data.converter import align_dataset  # noqa: E402
from llamafactory.data.parser import get_dataset_list  # noqa: E402

DATA: Any = SimpleNamespace(
    streaming=False, preprocessing_num_workers=None, overwrite_cache=True, media_dir="", dataset_dir=""
)
TRAINING: Any = SimpleNamespace(local_process_index=0)


def converted(folder: str, cache: str) -> dict[str, Any]:
    """The rows of every file that the folder's register names, or the error."""
    with open(f"{folder}/dataset_info.json") as file:  # noqa: PTH123
        names = list(json.load(file))
    rows: list[Any] = []
    for each in get_dataset_list(names, folder):
        raw = load_dataset("json", data_files=f"{folder}/{each.dataset_name}", split="train", cache_dir=cache)
        rows += align_dataset(raw, each, DATA, TRAINING).to_list()
    return {"rows": rows}


def main() -> None:
    """One question, one answer."""
    question = json.load(sys.stdin)
    try:
        answer = converted(question["folder"], question["cache"])
    except KeyError as exc:
        answer = {"error": repr(exc)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


main()
