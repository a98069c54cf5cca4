"""What is left of a request is said in full here; and nothing but its template's static text is gone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Json
from tailrace.templates.match import Templates
from tailrace.templates.prune import Pruned, estimated, prune
from tailrace.templates.template import Frame, Template
from tests.templates.test_match import DRAWN, TEXTS, q, say, template

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}


def text(words: str, **more: Json) -> dict[str, Json]:
    return {"type": "text", "text": words, **more}


def pruned(messages: list[Json], *templates: Template) -> Pruned:
    found = prune(messages, Templates(templates))
    assert found is not None
    return found


def test_a_tag_stands_for_the_static_text_and_slots_are_left() -> None:
    ask = template("ask", ("system", q("You are kind.")), ("user", q("Context: ", "{context}", "\nQ: ", "{q}")))
    found = pruned([say("system", "You are kind."), say("user", "Context: C\nQ: Q")], ask)
    assert found.messages == [say("system", "ask"), say("user", "context: C\nq: Q")]
    assert (found.template_id, found.slots, found.kept) == (ask.id, {"context": "C", "q": "Q"}, (0, 1))
    before, after = ("You are kind.", "Context: C\nQ: Q"), ("ask", "context: C\nq: Q")
    assert found.saved_tokens == sum(map(estimated, before)) - sum(map(estimated, after)) == 4 + 4 - 1 - 4


def test_one_slot_stands_alone_and_one_that_is_known_is_not_repeated() -> None:
    ask = template("ask", ("user", q("For ", "{c}", ".")), ("user", q("{c}", " asks: ", "{q}")))
    found = pruned([say("user", "For ACME."), say("user", "ACME asks: why")], ask)
    assert found.messages == [say("user", "ask\nACME"), say("user", "why")]


def test_without_a_tag_a_message_without_slots_goes() -> None:
    ask = Template("ask", (Frame("system", (q("Be kind."),)), Frame("user", (q("Q: ", "{q}"),))), "")
    found = pruned([say("system", "Be kind."), say("user", "Q: why"), say("assistant", "A")], ask)
    assert found.messages == [say("user", "why"), say("assistant", "A")]
    assert found.kept == (1, 2)


def test_images_stay_in_place_and_keep_what_they_are() -> None:
    look = template("look", ("user", q("Look at ", "{what}", "."), q("Say why.")))
    parts = [IMAGE, text("Look at this.", cache_control={"type": "ephemeral"}), IMAGE, text("Say why.")]
    found = pruned([say("user", parts)], look)
    left = [IMAGE, text("look\nthis", cache_control={"type": "ephemeral"}), IMAGE]
    assert found.messages == [say("user", left)]
    assert found.messages[0]["content"][0] is IMAGE


def test_examples_that_are_kept_and_assistants_stay() -> None:
    frames = (
        Frame("system", (q("Be kind to ", "{c}", "."),)),
        Frame("user", (q("Q: one"),), keep=True),
        Frame("assistant", (q("1"),), keep=True),
        Frame("user", (q("Q: ", "{q}"),)),
    )
    messages = [say("system", "Be kind to me."), say("user", "Q: one"), say("assistant", "1"), say("user", "Q: two")]
    later = [say("assistant", "Q: three"), say("tool", "Q: four"), say("user", "Q: five"), say("user", "six")]
    found = pruned([*messages, *later], Template("count", frames, "count"))
    assert [message["content"] for message in found.messages] == [
        "count\nme", "Q: one", "1", "two", "Q: three", "Q: four", "five", "six",
    ]  # fmt: skip


@given(st.lists(DRAWN, min_size=1, max_size=3), TEXTS, st.booleans())
def test_whatever_the_template_only_its_texts_change(known: list[Template], words: str, parts: bool) -> None:
    content: Any = [IMAGE, text(words), {"type": "file", "text": words}] if parts else words
    messages = [say("system", words), say("user", content), say("assistant", words), say("tool", words)]
    found = prune(messages, Templates(known))
    if found is None:
        return
    for index, made in zip(found.kept, found.messages, strict=True):
        before = messages[index]
        if before["role"] in {"assistant", "tool"}:
            assert made is before
        elif isinstance(before["content"], list):
            assert [part for part in made["content"] if part["type"] != "text"] == [content[0], content[2]]
    assert {2, 3} <= set(found.kept)


@pytest.mark.parametrize("count", [len, estimated])
def test_tokens_are_counted_by_what_counts_them(count: Any) -> None:
    ask = template("ask", ("user", q("A long static text: ", "{q}")))
    found = prune([say("user", "A long static text: why")], Templates([ask]), count)
    assert found is not None
    assert found.saved_tokens == count("A long static text: why") - count("ask\nwhy")
