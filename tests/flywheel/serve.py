"""The model behind OpenAI's endpoint: `python -m tests.flywheel.serve FOLDER`. It says its address when it is ready.

Greedy and not streamed: as much of the endpoint as a proxy needs before it.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import torch
import uvicorn
from litestar import Litestar, get, post
from transformers import AutoModelForCausalLM, AutoTokenizer

NAME: Final = "airline-intent"
MOST_TOKENS: Final = 24
TOGETHER: Final = 32

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: tokens read and said, and whether it came to its end."""

    text: str
    read: int
    said: int
    ended: bool


class Model:
    """A trained model and its tokenizer."""

    def __init__(self, folder: Path) -> None:
        self._reader = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def answers(self, asked: Sequence[Messages]) -> list[Answer]:
        """The answer to each of several conversations, in one pass."""
        given = self._reader.apply_chat_template(
            list(asked), add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        )
        reads, width = given["attention_mask"].sum(1).tolist(), given["input_ids"].shape[1]
        with torch.inference_mode():
            made = self._model.generate(**given, max_new_tokens=MOST_TOKENS, do_sample=False)[:, width:].tolist()
        return [self._answer(ids, read) for ids, read in zip(made, reads, strict=True)]

    def _answer(self, ids: list[int], read: int) -> Answer:
        end = self._reader.eos_token_id
        said = ids[: ids.index(end)] if end in ids else ids
        return Answer(self._reader.decode(said, skip_special_tokens=True), read, len(said), end in ids)


class Desk:
    """Answers what waits together: one pass over many short questions costs little more than over one."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Messages, asyncio.Future[Answer]]] = []

    async def answer(self, messages: Messages) -> Answer:
        """The answer, when its turn has come."""
        mine: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, mine))
        async with self._turn:
            while not mine.done():
                batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                await self._pass(batch)
        return mine.result()

    async def _pass(self, batch: list[tuple[Messages, asyncio.Future[Answer]]]) -> None:
        made = await asyncio.to_thread(self._model.answers, [messages for messages, _ in batch])
        for (_, waiting), answer in zip(batch, made, strict=True):
            waiting.set_result(answer)


def app(desk: Desk) -> Litestar:
    """The endpoint."""

    @post("/v1/chat/completions", status_code=200)
    async def complete(data: dict[str, Any]) -> dict[str, Any]:
        made = await desk.answer(data["messages"])
        message = {"role": "assistant", "content": made.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if made.ended else "length"}
        total = made.read + made.said
        return {
            "id": f"chatcmpl-{uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": NAME,
            "choices": [choice],
            "usage": {"prompt_tokens": made.read, "completion_tokens": made.said, "total_tokens": total},
        }

    @get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": NAME, "object": "model", "created": 0, "owned_by": "tailrace"}]}

    return Litestar([complete, models], openapi_config=None)


def main() -> None:
    """Serves until it is told to stop."""
    listening = socket.create_server(("127.0.0.1", 0))
    desk = Desk(Model(Path(sys.argv[1])))
    sys.stdout.write(f"ready: http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app(desk), log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
