"""`datasets` and TRL: rows come back as they were exported, and what a trainer learns of them is what was marked."""

from pathlib import Path
from typing import Any, Final

from datasets import Dataset, load_dataset
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer
from trl.data_utils import apply_chat_template, is_conversational, maybe_extract_prompt, unpair_preference_dataset

from tests.loaders import tiny
from tests.loaders.checkers import files
from tests.loaders.places import lines

_SMALL: Final = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


def loaded(paths: list[Path], scratch: Path, kind: str = "json") -> Dataset:
    """Files as `datasets` reads them."""
    found = load_dataset(kind, data_files=[str(path) for path in paths], split="train", cache_dir=str(scratch))
    assert isinstance(found, Dataset)
    return found


def trainer(rows: Dataset, scratch: Path, **settings: Any) -> SFTTrainer:
    """TRL's trainer over a model of a few hundred weights."""
    reader = tiny.tokenizer()
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(reader), **_SMALL))
    told = SFTConfig(
        output_dir=str(scratch / "trained"), max_length=None, use_cpu=True, report_to=[], bf16=False, **settings
    )
    return SFTTrainer(model, args=told, train_dataset=rows, processing_class=reader)


def learned(made: SFTTrainer) -> list[str]:
    """Of each row, the text that has labels in the batch the trainer makes of it."""
    batches = (made.data_collator([row]) for row in made.train_dataset)
    return [
        tiny.learned(made.processing_class, batch["input_ids"][0].tolist(), batch["labels"][0].tolist())
        for batch in batches
    ]


def messages(folder: Path, scratch: Path) -> int:
    """`trl-messages`: all answers are learned, and nothing else."""
    rows = _as_exported(folder, scratch)
    assert all(is_conversational(row) for row in rows)
    found = learned(trainer(rows, scratch, assistant_only_loss=True))
    assert found == [tiny.answers(row["messages"]) for row in lines(files(folder))]
    return len(found)


def prompt_completion(folder: Path, scratch: Path) -> int:
    """`trl-prompt-completion`: the completion is learned."""
    rows = _as_exported(folder, scratch)
    found = learned(trainer(rows, scratch))
    assert found == [tiny.answers(row["completion"]) for row in lines(files(folder))]
    return len(found)


def preference(folder: Path, scratch: Path) -> int:
    """`trl-preference`: prompt and both answers, taken apart by TRL into the unpaired rows of KTO, too."""
    rows = _as_exported(folder, scratch)
    for row in rows:
        assert maybe_extract_prompt(row) == row, "TRL finds another prompt in it"
        _rendered(row, ("chosen", "rejected"))
    apart = unpair_preference_dataset(rows)
    assert [row["label"] for row in apart] == [True] * len(rows) + [False] * len(rows)
    return len(rows)


def kto(folder: Path, scratch: Path) -> int:
    """`trl-kto`: both labels are there, as booleans."""
    rows = _as_exported(folder, scratch)
    assert {row["label"] for row in rows} == {True, False}
    for row in rows:
        _rendered(row, ("completion",))
    return len(rows)


def _rendered(row: dict[str, Any], answers: tuple[str, ...]) -> None:
    """The template's text of each answer begins after its prompt's, and is the answer."""
    made = apply_chat_template(row, tiny.tokenizer())
    assert made["prompt"].endswith("<|assistant|>")
    for name in answers:
        assert made[name] == tiny.answers(row[name])


def parquet(folder: Path, scratch: Path) -> int:
    """Reloaded rows are those of the JSONL target that carries the same, no key more."""
    rows = loaded(files(folder, ".parquet"), scratch, "parquet")
    assert rows.column_names == ["messages", "tools", "train"]
    for row in rows:
        assert len(row["train"]) == len(row["messages"])
        assert is_conversational(row)
    return len(rows)


def csv(folder: Path, scratch: Path) -> int:
    rows = loaded(files(folder, ".csv"), scratch, "csv")
    assert rows.column_names == ["completion", "classifier", "text", "label", "confidence", "source"]
    assert set(rows["label"]) == {"even", "odd"}
    return len(rows)


def _as_exported(folder: Path, scratch: Path) -> Dataset:
    """The rows; the loader changed nothing, added nothing."""
    rows = loaded(files(folder), scratch)
    assert rows.to_list() == lines(files(folder))
    return rows
