"""Bytes come back as they were; a frame that lies or is damaged is an error, not other bytes."""

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import WorkFailed
from tailrace.store.codec import MAGIC, Codec

CODEC = Codec()
TEXT = b'{"role":"user","content":"the same again and again"}' * 20


@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: MAGIC + tail) | st.just(TEXT))
def test_bytes_come_back(plain: bytes) -> None:
    stored = CODEC.pack(plain)
    assert CODEC.unpack(stored) == plain
    assert stored == plain or stored.startswith(MAGIC)


def test_only_what_gets_shorter_is_a_frame() -> None:
    noise = random.Random(1).randbytes(1000)
    assert CODEC.pack(noise) == noise
    assert len(CODEC.pack(TEXT)) < len(TEXT) / 5


@pytest.mark.parametrize("broken", [MAGIC, CODEC.pack(TEXT)[:-1], CODEC.pack(TEXT)[:9] + b"\xff" * 20])
def test_damage_is_noticed(broken: bytes) -> None:
    with pytest.raises(WorkFailed, match="damaged"):
        CODEC.unpack(broken)


def test_no_frame_unpacks_to_more_than_the_bound() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(100_000))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100_000))
    assert Codec(max_bytes=100_000).unpack(bomb) == Codec(max_bytes=100_000).unpack(unsized) == bytes(100_000)
    for frame in (bomb, unsized):
        with pytest.raises(WorkFailed):
            Codec(max_bytes=99_999).unpack(frame)
