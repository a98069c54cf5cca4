"""A tokenizer made on the spot: bytes, a token for each role, and a chat template that marks what is the assistant's.

No vocabulary is downloaded, and every text comes back from its tokens as it was. `written` says by itself what the
template makes of a message, so that what a trainer learns is compared with something that is not the trainer's.
Needs `tokenizers` and `transformers`, of whichever versions the environment has.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END: Final = "<|end|>"
ROLES: Final = ("system", "user", "assistant", "tool", "tools", "call")

TEMPLATE: Final = """
{%- for tool in tools or [] %}{{ '<|tools|>' + tool | tojson }}{% endfor %}
{%- for message in messages %}
{{- '<|' + message.role + '|>' }}
{%- if message.role == 'assistant' %}
{%- generation %}{{ message.content }}
{%- for call in message.tool_calls or [] %}
{%- set given = call.function.arguments %}
{{- '<|call|>' + call.function.name + (given if given is string else given | tojson) }}
{%- endfor %}{{ '<|end|>' }}{% endgeneration %}
{%- else %}{{ message.content + '<|end|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""


def tokenizer(template: str = TEMPLATE) -> Any:
    """A tokenizer of 256 bytes and the marks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={char: at for at, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<|begin|>",
        eos_token=END,
        pad_token="<|pad|>",
        additional_special_tokens=[f"<|{role}|>" for role in ROLES],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = template
    return fast


def learned(reader: Any, ids: Sequence[int], labels: Sequence[int]) -> str:
    """The text whose tokens have labels."""
    return str(reader.decode([token for token, label in zip(ids, labels, strict=True) if label != -100]))


def written(message: dict[str, Any]) -> str:
    """What the template makes of an answer."""
    calls = [
        "<|call|>" + call["function"]["name"] + _text(call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    return (message["content"] or "") + "".join(calls) + END


def answers(messages: Iterable[dict[str, Any]]) -> str:
    """What there is to learn of a conversation when all its answers are learned."""
    return "".join(written(message) for message in messages if message["role"] == "assistant")


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
