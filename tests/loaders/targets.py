"""Which loader reads which target. A format of the registry stands in one of the two tables, or a test fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Loader:
    """A loader of a target's files."""

    name: str
    """What of it is called, for the table in the README."""
    package: str
    """Whose version counts."""
    load: str
    """`module:function` of `tests.loaders`, which takes the target's folder and a scratch folder and gives the number
    of rows that it loaded. Found when it is used: the modules need what only `make test-loaders` installs."""
    place: str | None = None
    """The environment of its own that it lives in: `.venv-loader-<place>`."""


_SCHEMA: Final = "the fine-tuning request as JSON Schema"

LOADERS: Final[Mapping[str, tuple[Loader, ...]]] = {
    "openai-chat": (Loader(_SCHEMA, "jsonschema", "checkers:openai_chat"),),
    "openai-dpo": (
        Loader("check_file", "together", "checkers:together"),
        Loader(_SCHEMA, "jsonschema", "checkers:openai_dpo"),
    ),
    "openai-rft": (Loader(_SCHEMA, "jsonschema", "checkers:openai_rft"),),
    "azure-chat": (Loader(_SCHEMA, "jsonschema", "checkers:openai_chat"),),
    "together": (Loader("check_file", "together", "checkers:together"),),
    "mistral": (Loader("MistralRequestValidatorV3, fine-tuning", "mistral-common", "checkers:mistral"),),
    "vertex-gemini": (Loader("types.Content, types.Tool", "google-genai", "checkers:gemini"),),
    "bedrock-converse": (Loader("SFTDatasetValidator", "amzn-nova-customization-sdk", "checkers:nova", place="nova"),),
    "trl-messages": (Loader("SFTTrainer, assistant_only_loss", "trl", "hugging_face:messages"),),
    "trl-prompt-completion": (Loader("SFTTrainer", "trl", "hugging_face:prompt_completion"),),
    "trl-preference": (Loader("maybe_extract_prompt, apply_chat_template", "trl", "hugging_face:preference"),),
    "trl-kto": (Loader("apply_chat_template", "trl", "hugging_face:kto"),),
    "sharegpt": (Loader("align_dataset", "llamafactory", "trainers:sharegpt", place="llamafactory"),),
    "alpaca": (Loader("align_dataset", "llamafactory", "trainers:alpaca", place="llamafactory"),),
    "axolotl": (Loader("chat_template strategy", "axolotl", "trainers:axolotl", place="axolotl"),),
    "mlx": (Loader("tuner.datasets, --mask-prompt", "mlx-lm", "trainers:mlx"),),
    "torchtune": (Loader("OpenAIToMessages, validate_messages", "torchtune", "trainers:torchtune"),),
    "parquet": (
        Loader("load_dataset", "datasets", "hugging_face:parquet"),
        Loader("Dataset, records", "mlcroissant", "checkers:croissant"),
    ),
    "csv": (Loader("load_dataset", "datasets", "hugging_face:csv"),),
}

NONE: Final[Mapping[str, str]] = {
    "fireworks": "its checks are in firectl and on the server, neither on PyPI",
    "bedrock-claude": "AWS checks on the server; its rules are those of the guide",
}
"""Targets that no loader on PyPI reads, with the reason; their rules are tested in `tests/exporters`."""
