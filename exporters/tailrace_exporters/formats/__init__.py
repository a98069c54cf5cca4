"""The targets, by the name a recipe uses. A new one is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from tailrace_exporters.formats import (
    alpaca,
    axolotl,
    azure_chat,
    bedrock_claude,
    bedrock_converse,
    csv_labels,
    fireworks,
    mistral,
    mlx,
    openai_chat,
    openai_dpo,
    openai_rft,
    parquet,
    sharegpt,
    together,
    torchtune,
    trl_kto,
    trl_messages,
    trl_preference,
    trl_prompt_completion,
    vertex_gemini,
)
from tailrace_exporters.formats.base import Format

FORMATS: Final[Mapping[str, Format]] = {
    "openai-chat": openai_chat.FORMAT,
    "openai-dpo": openai_dpo.FORMAT,
    "openai-rft": openai_rft.FORMAT,
    "azure-chat": azure_chat.FORMAT,
    "together": together.FORMAT,
    "fireworks": fireworks.FORMAT,
    "mistral": mistral.FORMAT,
    "vertex-gemini": vertex_gemini.FORMAT,
    "bedrock-converse": bedrock_converse.FORMAT,
    "bedrock-claude": bedrock_claude.FORMAT,
    "trl-messages": trl_messages.FORMAT,
    "trl-prompt-completion": trl_prompt_completion.FORMAT,
    "trl-preference": trl_preference.FORMAT,
    "trl-kto": trl_kto.FORMAT,
    "sharegpt": sharegpt.FORMAT,
    "alpaca": alpaca.FORMAT,
    "axolotl": axolotl.FORMAT,
    "mlx": mlx.FORMAT,
    "torchtune": torchtune.FORMAT,
    "parquet": parquet.FORMAT,
    "csv": csv_labels.FORMAT,
}
