"""No field of a request is forgotten: each one that a client's library knows stands in a table of each translation."""

from typing import Any, get_type_hints

import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from tailrace.errors import Refused
from tailrace.wire.dialects import chat_as_gemini, chat_as_messages, messages_as_chat
from tailrace.wire.dialects.carrying import Fields
from tailrace.wire.dialects.chat_as_gemini.request import FIELDS as CHAT_AS_GEMINI
from tailrace.wire.dialects.chat_as_messages.request import FIELDS as CHAT_AS_MESSAGES
from tailrace.wire.dialects.messages_as_chat.request import FIELDS as MESSAGES_AS_CHAT

CHAT_FIELDS = {
    name
    for params in (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming)
    for name in get_type_hints(params)
}
MESSAGES_FIELDS = {
    *("cache_control", "container", "context_management", "diagnostics", "inference_geo", "max_tokens", "mcp_servers"),
    *("messages", "metadata", "model", "output_config", "service_tier", "speed", "stop_sequences", "stream", "system"),
    *("temperature", "thinking", "tool_choice", "tools", "top_k", "top_p", "user_profile_id", "workspace_id"),
}
"""Of anthropic-python 2.14, `temperature` and its like from earlier ones, and two betas' that clients send."""

EXTENSIONS = {"thinking", "top_k", "extra_body"}
"""What OpenAI does not know and a chat provider's clients send."""

TABLES = [
    pytest.param(CHAT_AS_MESSAGES, CHAT_FIELDS, chat_as_messages.TRANSLATION, id="chat-messages"),
    pytest.param(CHAT_AS_GEMINI, CHAT_FIELDS, chat_as_gemini.TRANSLATION, id="chat-gemini"),
    pytest.param(MESSAGES_AS_CHAT, MESSAGES_FIELDS, messages_as_chat.TRANSLATION, id="messages-chat"),
]


@pytest.mark.parametrize(("table", "fields", "translation"), TABLES)
def test_each_field_stands_in_one_table(table: Fields, fields: set[str], translation: Any) -> None:
    kinds: list[set[str]] = [set(table.carried), set(table.dropped), set(table.refused)]
    known = kinds[0] | kinds[1] | kinds[2]
    assert sum(len(kind) for kind in kinds) == len(known), "a field stands in two tables"
    assert fields - known == set()
    assert known - fields <= EXTENSIONS
    assert all(reason for reason in table.dropped.values())


@pytest.mark.parametrize(("table", "fields", "translation"), TABLES)
def test_the_tables_are_what_happens(table: Fields, fields: set[str], translation: Any) -> None:
    asked = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    plain = translation.request(asked, "real")
    for name in set(table.dropped) - {"model", "stream"}:
        assert translation.request({**asked, name: "anything"}, "real") == plain, name
    for name, neutral in table.refused.items():
        for value in (*neutral, None):
            assert translation.request({**asked, name: value}, "real") == plain, name
        with pytest.raises(Refused, match=f"`{name}`"):
            translation.request({**asked, name: {"any": "thing"}}, "real")
    for name in table.carried:
        assert translation.request({**asked, name: asked.get(name)}, "real") == plain, name


@pytest.mark.parametrize(("table", "fields", "translation"), TABLES)
def test_each_field_that_is_carried_changes_what_is_sent(table: Fields, fields: set[str], translation: Any) -> None:
    """With a value that asks for something."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    plain = translation.request(asked, "real")
    for name in set(table.carried) - {"messages"}:
        assert any(_changes(translation, asked, plain, name, value) for value in VALUES.get(name, (7,))), name


VALUES: dict[str, tuple[Any, ...]] = {
    "stop": ("x",),
    "stop_sequences": (["x"],),
    "temperature": (0.5,),
    "stream": (True,),
    "system": ("Be brief.",),
    "tools": (
        [{"type": "function", "function": {"name": "f"}}],
        [{"name": "f", "input_schema": {}}],
    ),
    "tool_choice": ("required", {"type": "any"}),
    "response_format": ({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},),
    "reasoning_effort": ("low",),
    "thinking": ({"type": "enabled", "budget_tokens": 2048},),
    "extra_body": ({"google": {"thinking_config": {"thinking_budget": 1}}},),
    "output_config": ({"effort": "low"},),
    "metadata": ({"user_id": "u"},),
    "service_tier": ("default", "standard_only"),
}


def _changes(translation: Any, asked: dict[str, Any], plain: Any, name: str, value: Any) -> bool:
    more = {"tools": VALUES["tools"][0]} if name == "parallel_tool_calls" else {}
    value = False if name == "parallel_tool_calls" else value
    try:
        before = translation.request({**asked, **more}, "real") if more else plain
        return bool(translation.request({**asked, **more, name: value}, "real") != before)
    except Refused:
        return False
