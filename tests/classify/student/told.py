"""Turns as the student is shown them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Subject:
    text: str
    turns: tuple[Turn, ...] = ()
    previous: str | None = None
