"""`tailrace export preview --tokenizer`: a row as a model reads it, and which of its tokens are learned."""

import builtins
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tailrace.errors import UserError
from tailrace_exporters.chat_template import ChatTemplate, TemplateRefusesError, read_tokenizer_folder
from tailrace_exporters.preview import BESIDE_MARKS, BY_GROWTH, BY_MARKS, View, lines, rendered
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALLING, RESULT, ROWS, WEATHER, row
from tests.typed import Run

NOW: Final = datetime(2026, 11, 26, tzinfo=UTC)
OPEN: Final = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
CHATML: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}<|im_end|>\n{% endfor %}" + OPEN
)
MARKED: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}" + OPEN
)
FORGETS: Final = (  # as Qwen3 does: what was thought before the last question is not told
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    + OPEN
)
THINKS: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>{% endif %}"
)
TURNS: Final = row([user("one"), said("1"), user("zwei"), said("größer 🙂")], learn=[3])


@cache
def vocabulary() -> Tokenizer:
    """A token a byte, and the marks of ChatML."""
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return made


@cache
def template(text: str) -> ChatTemplate:
    return ChatTemplate({"default": text}, {"eos_token": "<|im_end|>"}, vocabulary(), NOW)


def learned(value: dict[str, Any]) -> str:
    return "".join(token["text"] for token in value["tokens"] if token["learned"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tokenizer's folder, its template in the configuration."""
    made = tmp_path / "tokenizer"
    made.mkdir()
    vocabulary().save(str(made / "tokenizer.json"))
    config = {"chat_template": CHATML, "eos_token": {"content": "<|im_end|>", "special": True}, "add_bos_token": False}
    (made / "tokenizer_config.json").write_bytes(orjson.dumps(config))
    return made


@pytest.mark.parametrize(("text", "how", "rest"), [(MARKED, BY_MARKS, ""), (CHATML, BY_GROWTH, "\n")])
def test_only_the_learned_answer_is_learned(text: str, how: str, rest: str) -> None:
    found = rendered(TURNS, template(text))
    assert found["text"] == (
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n1<|im_end|>\n"
        "<|im_start|>user\nzwei<|im_end|>\n<|im_start|>assistant\ngrößer 🙂<|im_end|>\n"
    )
    assert learned(found) == f"größer 🙂<|im_end|>{rest}"
    assert found["notes"] == [how]
    assert "".join(token["text"] for token in found["tokens"]) == found["text"]
    assert sum(token["learned"] for token in found["tokens"]) == len("größer 🙂".encode()) + 1 + len(rest)


def test_all_answers_and_their_calls() -> None:
    made = row([user("rain?"), CALLING, RESULT, said("It rains.")], tools=[WEATHER])
    found = rendered(made, template(CHATML))
    assert learned(found) == (
        '[{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich"}}}]'
        "<|im_end|>\nIt rains.<|im_end|>\n"
    )
    assert found["notes"] == ["by rule: null_content_as_empty", BY_GROWTH]


def test_what_the_opening_thinks_and_the_answer_does_not_is_not_learned() -> None:
    assert learned(rendered(TURNS, template(THINKS))) == "größer 🙂<|im_end|>\n"


def test_a_template_that_tells_the_past_otherwise_is_told() -> None:
    found = rendered(row(TURNS.messages), template(FORGETS))
    assert "learned depends on the trainer: the template tells messages 0 to 1" in found["notes"][0]
    assert learned(found) == ""
    assert learned(rendered(TURNS, template(FORGETS))) == "<think></think>größer 🙂<|im_end|>\n"


def test_what_stands_behind_the_last_message_hides_where_an_answer_begins() -> None:
    found = rendered(TURNS, template(CHATML.replace(OPEN, "<|im_end|>" + OPEN)))
    assert "tells messages 0 to 3 by themselves" in found["notes"][0]
    assert learned(found) == ""


def test_marks_that_are_not_one_for_each_answer_say_nothing_of_a_single_one() -> None:
    few = template(MARKED.replace("m.role == 'assistant'", "m.role == 'assistant' and not loop.last"))
    found = rendered(TURNS, few)
    assert (found["notes"], learned(found)) == ([BESIDE_MARKS], "größer 🙂<|im_end|>\n")
    whole = rendered(row(TURNS.messages), few)
    assert (whole["notes"], learned(whole)) == ([BY_MARKS], "1<|im_end|>"), "TRL learns no more of it"


def test_a_token_that_begins_before_the_answer_is_learned_with_it() -> None:
    whole = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    whole.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    made = ChatTemplate({"default": "{% for m in messages %}{{ m.content }};{% endfor %}"}, {}, whole, NOW)
    found = rendered(row([user("a|b"), said("c|d")]), made)
    assert [(token["text"], token["learned"]) for token in found["tokens"]] == [
        ("a", False),
        ("|b;c", True),
        ("|d;", True),
    ]
    assert "1 learned tokens begin before their answer does" in found["notes"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ raise_exception('roles must alternate') }}", "the template refuses this row: roles must alternate"),
        ("{{ messages[9].content }}", "the template refuses this row: "),
        ("{{ 1 // 0 }}", "the template refuses this row: "),
        ("{{ messages.append(1) }}", "the template refuses this row: "),
        ("{{ ''.__class__.__mro__ }}", "the template refuses this row: "),
    ],
)
def test_a_row_that_the_template_does_not_take(text: str, why: str) -> None:
    found = rendered(TURNS, template(text))
    assert found["text"] is None
    assert found["notes"][0].startswith(why)
    assert "note: the template refuses" in "".join(map(str, lines(found)))


def test_words_that_are_no_answer_are_never_learned_unnoticed() -> None:
    users = MARKED.replace("m.role == 'assistant'", "m.role == 'user'")
    errors = ["the template marks words of message 0, of role user, as learned"]
    assert rendered(row([user("U"), said("A")]), template(users))["errors"] == errors
    assert rendered(row([user("U"), said("A")]), template(MARKED))["errors"] == []
    greedy = "{% generation %}{% for m in messages %}{{ m.content | trim }};{% endfor %}{% endgeneration %}"
    found = rendered(row([{"role": "system", "content": "S"}, user("U"), said("A")]), template(greedy))
    assert [error.split(",")[0][-1] for error in found["errors"]] == ["0", "1"]
    assert "error: the template marks words of message 1" in "".join(map(str, lines(found)))
    quoted = rendered(row([user("U"), said("A")], learn=[0, 1]), template(MARKED))
    assert (quoted["text"], quoted["notes"]) == (None, [])
    assert quoted["errors"] == ["a chat template takes no such row: learns_no_answer at /train/0"]


def test_a_row_that_no_template_takes() -> None:
    assert rendered(ROWS["image"], template(CHATML))["notes"] == [
        "a chat template takes no such row: unknown_part at /messages/0/content/1"
    ]


@given(st.lists(st.text(max_size=5), min_size=2, max_size=4))
def test_marks_never_show_and_enclose_what_was_said(words: list[str]) -> None:
    messages = [message for word in words for message in (user(word), said(word + "."))]
    found = template(MARKED).render(messages, None)
    plain = template(MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")).render(messages, None)
    assert (found.text, plain.marked) == (plain.text, ())
    assert [found.text[start:end] for start, end in found.marked] == [f"{word}.<|im_end|>" for word in words]


def test_a_conversation_of_every_mark_there_is_is_refused() -> None:
    with pytest.raises(TemplateRefusesError):
        template(MARKED).render([user("".join(map(chr, range(0xFDD0, 0xFDF0))))], None)


def test_what_templates_may_ask_for() -> None:
    made = template(
        "{{ strftime_now('%d %b') }}{% for x in [1, 2] %}{% break %}{% endfor %}{{ tools | tojson(indent=1) }}"
    )
    assert made.render([], [{"ü": 1}]).text == '26 Nov[\n {\n  "ü": 1\n }\n]'


def test_a_template_for_tools_is_taken_where_there_are_tools(folder: Path) -> None:
    config = orjson.loads((folder / "tokenizer_config.json").read_bytes())
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps(config | {"chat_template": named}))
    made = read_tokenizer_folder(folder, NOW)
    assert [made.render([], tools).text for tools in (None, [], [WEATHER])] == ["plain", "plain", "tools"]
    (folder / "chat_template.jinja").write_text("alone{{ eos_token }}")
    assert read_tokenizer_folder(folder, NOW).render([], [WEATHER]).text == "alone<|im_end|>"
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("beside")
    assert read_tokenizer_folder(folder, NOW).render([], [WEATHER]).text == "beside"


def change(name: str, data: bytes | None) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        (folder / name).unlink() if data is None else (folder / name).write_bytes(data)

    return changed


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (change("tokenizer_config.json", None), "cannot be read (No such file or directory)"),
        (change("tokenizer_config.json", b"{"), "is no JSON"),
        (change("tokenizer_config.json", b"[]"), "is no JSON object"),
        (change("tokenizer_config.json", b"{}"), "has no chat template"),
        (change("tokenizer_config.json", b'{"chat_template": "{% if"}'), "the chat template cannot be read"),
        (change("tokenizer.json", None), "cannot be read"),
        (change("tokenizer.json", b"{}"), "is no tokenizer"),
        (change("chat_template.jinja", b"\xff"), "byte 0 is no UTF-8"),
    ],
)
def test_a_folder_that_is_no_tokenizers(folder: Path, how: Callable[[Path], None], why: str) -> None:
    how(folder)
    with pytest.raises(UserError) as caught:
        View(folder, NOW)
    assert why in str(caught.value)


def test_the_command(tailrace: Run, recipe: Path, data_dir: Path, folder: Path) -> None:
    words = ("export", "preview", recipe, "--rows", "2", "--tokenizer", folder, "--data-dir", data_dir)
    ended = tailrace(*words)
    assert ended.code == 0, ended.err
    assert "learn It rains.<|im_end|>" in ended.out
    assert "      <|im_start|>user" in ended.out
    assert " of them learned" in ended.out
    first = orjson.loads(tailrace(*words, "--json").out.splitlines()[0])
    assert first["messages"]
    assert learned(first["rendered"]).endswith("It rains.<|im_end|>\n")


def test_the_command_fails_where_the_user_would_be_learned(
    tailrace: Run, recipe: Path, data_dir: Path, folder: Path
) -> None:
    (folder / "chat_template.jinja").write_text(MARKED.replace("m.role == 'assistant'", "m.role == 'user'"))
    words = ("export", "preview", recipe, "--rows", "2", "--tokenizer", folder, "--data-dir", data_dir)
    for ended in (tailrace(*words), tailrace(*words, "--json")):
        assert (ended.code, "in 2 of 2 rows words that are no answer would be learned" in ended.err) == (1, True)
        assert "of role user, as learned" in ended.out


def test_without_the_packages_it_says_what_to_install(
    tailrace: Run, recipe: Path, data_dir: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "tailrace_exporters.preview":
            raise ImportError("No module named 'jinja2'")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    ended = tailrace("export", "preview", recipe, "--tokenizer", folder, "--data-dir", data_dir)
    assert (ended.code, "install tailrace[tokenizer]" in ended.err) == (2, True)
    assert tailrace("export", "preview", recipe, "--data-dir", data_dir).code == 0
