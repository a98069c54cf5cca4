"""A transformer from its configuration, taught by TRL on the files of an export; only answers are learned.

The tokenizer is made from the export's own text. Nothing is downloaded.
"""

import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

import torch
from datasets import Dataset, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

SEED: Final = 7
WORDS: Final = 1024
"""Tokens of the vocabulary."""
LONGEST: Final = 160
"""Tokens of a row that are read."""
END: Final = "<|end|>"
TEMPLATE: Final = """
{%- for message in messages %}
{{- '<|' + message.role + '|>' }}
{%- if message.role == 'assistant' %}{% generation %}{{ message.content + '<|end|>' }}{% endgeneration %}
{%- else %}{{ message.content }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
SHAPE: Final = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
    "attention_dropout": 0.1,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True, slots=True)
class Lesson:
    """How the training went."""

    rows: int
    weights: int
    steps: int
    loss: float
    wall_s: float
    cpu_s: float


def learn(file: Path, out: Path, *, epochs: float, scratch: Path) -> Lesson:
    """Trains on a file of `trl-messages` and writes model and tokenizer to `out`.

    Raises RuntimeError where something else than the answers would be learned.
    """
    torch.manual_seed(SEED)
    rows = load_dataset("json", data_files=str(file), split="train", cache_dir=str(scratch))
    reader = tokenizer(rows)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(reader),
            eos_token_id=reader.eos_token_id,
            pad_token_id=reader.pad_token_id,
            bos_token_id=None,
            **SHAPE,
        )
    )
    wall, cpu = perf_counter(), process_time()
    trainer = SFTTrainer(model, args=settings(scratch, epochs), train_dataset=rows, processing_class=reader)
    only_answers(trainer, rows)
    ended = trainer.train()
    model.save_pretrained(out)
    reader.save_pretrained(out)
    return Lesson(
        rows=len(rows),
        weights=sum(weight.numel() for weight in model.parameters()),
        steps=ended.global_step,
        loss=ended.training_loss,
        wall_s=perf_counter() - wall,
        cpu_s=process_time() - cpu,
    )


def settings(scratch: Path, epochs: float) -> SFTConfig:
    """Not tuned yet: a first guess for a model of this size."""
    return SFTConfig(
        output_dir=str(scratch / "trainer"),
        assistant_only_loss=True,
        max_length=LONGEST,
        num_train_epochs=epochs,
        per_device_train_batch_size=64,
        learning_rate=2e-3,
        lr_scheduler_type="cosine",
        warmup_steps=50,
        weight_decay=0.05,
        logging_steps=100,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,  # TRL's default is to save memory, which nobody lacks here
        seed=SEED,
        disable_tqdm=True,
    )


def tokenizer(rows: Dataset) -> Any:
    """A byte-level BPE of the rows' own words."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    marks = [END, "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=marks,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator((message["content"] for row in rows for message in row["messages"]), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, pad_token="<|pad|>", clean_up_tokenization_spaces=False
    )
    fast.chat_template = TEMPLATE
    return fast


def only_answers(trainer: SFTTrainer, rows: Dataset, most: int = 500) -> None:
    """That the labels of what the trainer is about to learn are the answers, and nothing else."""
    for at in range(0, len(rows), max(1, math.ceil(len(rows) / most))):
        batch = trainer.data_collator([trainer.train_dataset[at]])
        ids, labels = batch["input_ids"][0], batch["labels"][0]
        learned = trainer.processing_class.decode(ids[labels != -100])
        answers = "".join(each["content"] + END for each in rows[at]["messages"] if each["role"] == "assistant")
        if learned != answers:
            raise RuntimeError(f"row {at} would learn {json.dumps(learned)}, its answers are {json.dumps(answers)}")


def main() -> None:
    """`python -m tests.flywheel.learn FILE FOLDER EPOCHS SCRATCH`."""
    file, out, epochs, scratch = sys.argv[1:]
    lesson = learn(Path(file), Path(out), epochs=float(epochs), scratch=Path(scratch))
    (Path(out) / "lesson.json").write_text(json.dumps(asdict(lesson)))


if __name__ == "__main__":
    main()
