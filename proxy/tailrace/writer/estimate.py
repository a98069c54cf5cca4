"""Token counts where the provider sent none. Pure. Marked `estimated` wherever they are shown.

Four characters of JSON-free text a token: OpenAI's own rule of thumb for English. Nothing of a bill may rest on it.
"""

from typing import Final

from tailrace.records import Usage, UsageSource
from tailrace.writer.prepared import AnswerParts, Content, RequestParts

_CHARS_A_TOKEN: Final = 4
_FRAME_BYTES: Final = 32
"""Of a message's JSON, what is not its text: `{"content":"","role":"user"}` and the like."""


def estimated(request: RequestParts, answer: AnswerParts) -> Usage:
    """Counts for an answer that has text and came without counts; the unknown ones otherwise."""
    if not answer.choices:
        return answer.usage
    asked = (*request.path, *(message for _, message in request.system), *request.tools)
    answered = (message for choice in answer.choices for message in choice.messages)
    return Usage(
        source=UsageSource.ESTIMATED,
        input_tokens=sum(_tokens(message) for message in asked),
        output_tokens=sum(_tokens(message) for message in answered),
    )


def _tokens(message: Content) -> int:
    body = message.body if message.core is None else message.core.body
    return max(1, (len(body) - _FRAME_BYTES) // _CHARS_A_TOKEN)
