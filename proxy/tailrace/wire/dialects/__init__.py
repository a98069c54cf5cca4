"""The dialects that providers speak. A new one is one module here, one line in `DIALECTS`, and its word in
`settings.Provider.dialect`.

    anthropic, gemini, openai     one `Dialect` each
    A_as_B/                       a translation: a client of A, answered by a provider that speaks B; its tables say
                                  what becomes of each field
    compose                       two translations one after the other
    chat_fields, chat_tools,      chat completions, read and written for the translations from and to them
    chat_turns, chat_answers
    carrying, reading, events     what all translations share
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.wire.dialect import Dialect
from tailrace.wire.dialects import anthropic, gemini, openai

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            openai.DIALECT,
            anthropic.DIALECT,
            gemini.DIALECT,
        )
    }
)
