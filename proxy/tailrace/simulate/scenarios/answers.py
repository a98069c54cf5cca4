"""Scenarios in which the provider is in good health and the answer is of a certain kind or size."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tailrace.simulate.acts import Act, Data, Head, Wait
from tailrace.simulate.answer import Answer, Counts, call_tools, counted, counts_of, echo, fitting
from tailrace.simulate.call import Call, respond

_LINE = "The mill turns while the water runs. "  # 37 bytes
_SOURCES = ("https://example.org/mill", "https://example.org/race")
_ABOUT = "The user said something, so it is said again."


def plain_echo(call: Call) -> Iterable[Act]:
    """The last user text again, streamed word by word."""
    return respond(call, echo(call.asked))


def replay(call: Call) -> Iterable[Act]:
    """The next assistant turn of the dialogue that the request continues."""
    return respond(call, Answer(call.replay(call.asked)))


def tools(call: Call) -> Iterable[Act]:
    """Calls of the first n offered tools."""
    return respond(call, call_tools(call.asked, max(1, call.n)))


def reasoning(call: Call) -> Iterable[Act]:
    """Reasoning before the text."""
    return respond(call, Answer(call.asked.last_user_text, reasoning=_ABOUT))


def reasoning_tools(call: Call) -> Iterable[Act]:
    """Reasoning before a call of the first tool, as models that think between calls answer."""
    return respond(call, replace(call_tools(call.asked, 1), reasoning=_ABOUT))


def text_tools(call: Call) -> Iterable[Act]:
    """A text, and calls of the first n tools after it."""
    called = call_tools(call.asked, max(1, call.n))
    return respond(call, replace(called, text="Let me look.") if called.calls else called)


def fitting_json(call: Call) -> Iterable[Act]:
    """JSON that fits the schema which the client asks for."""
    return respond(call, fitting(call.asked))


def cached(call: Call) -> Iterable[Act]:
    """An echo whose prompt was mostly in the provider's cache, as usage tells."""
    counts = counts_of(call.asked, echo(call.asked))
    return respond(
        call, replace(echo(call.asked), counts=Counts(counts.prompt, counts.completion, 0, counts.prompt // 2))
    )


def cited(call: Call) -> Iterable[Act]:
    """An echo that says where it was found."""
    return respond(call, replace(echo(call.asked), sources=_SOURCES))


def refusal(call: Call) -> Iterable[Act]:
    """A refusal instead of a text."""
    return respond(call, Answer(None, refusal="I'm sorry, but I can't help with that."))


def content_filter(call: Call) -> Iterable[Act]:
    """Nothing, because a filter stopped it."""
    return respond(call, Answer("", finish="content_filter"))


def length(call: Call) -> Iterable[Act]:
    """Half of the text, because the tokens ran out."""
    text = call.asked.last_user_text
    return respond(call, Answer(text[: -(-len(text) // 2)], finish="length"))


def content_null(call: Call) -> Iterable[Act]:
    """No content at all, and yet the end."""
    return respond(call, Answer(None))


def big(call: Call) -> Iterable[Act]:
    """A text of n KiB."""
    size = call.n * 1024
    return respond(call, Answer((_LINE * (size // len(_LINE) + 1))[:size]))


def chunks(call: Call) -> Iterable[Act]:
    """A text of n words, so n chunks with content."""
    return respond(call, Answer(counted(call.n)))


def chunk_every(call: Call) -> Iterator[Act]:
    """An echo with n milliseconds before each piece."""
    for act in plain_echo(call):
        if isinstance(act, Data):
            yield Wait(call.n / 1000)
        yield act


def slow(call: Call) -> Iterator[Act]:
    """An echo after n milliseconds of silence."""
    yield Wait(call.n / 1000)
    yield from plain_echo(call)


def slow_body(call: Call) -> Iterator[Act]:
    """The head of an echo at once, its body after n milliseconds."""
    for act in plain_echo(call):
        yield act
        if isinstance(act, Head):
            yield Wait(call.n / 1000)


def tail(call: Call) -> Iterator[Act]:
    """An echo after n milliseconds for one call in ten, after a twentieth of that for the others."""
    yield Wait(call.n / 1000 if call.stamp.number % 10 == 0 else call.n / 20_000)
    yield from plain_echo(call)
