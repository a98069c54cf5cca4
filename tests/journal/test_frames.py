"""Frames: what goes in comes out; no change of a byte goes unseen; a frame belongs to one file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.journal import frames
from tailrace.journal.frames import Cut, Frame, Kind, Strange, Torn

SEED = frames.salt("00000000000000aa-00000001.seg")
FRAMES = st.builds(
    lambda kind, id_, stamp, home, header, body: Frame(
        kind, id_, stamp, home, header, body, frames.size_of(header, body)
    ),
    st.sampled_from(Kind),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=60),
    st.binary(max_size=300),
)


def encoded(frame: Frame, seed: int = SEED) -> bytes:
    return b"".join(
        frames.encode(frame.kind, frame.id, frame.stamp, frame.header, frame.body, home=frame.home, seed=seed)
    )


@given(FRAMES, st.binary(max_size=20), st.binary(max_size=20))
def test_a_frame_is_read_as_it_was_written_wherever_it_stands(frame: Frame, before: bytes, after: bytes) -> None:
    data = encoded(frame)
    assert len(data) == frame.size
    assert frames.decode(before + data + after, len(before), SEED) == frame


@given(FRAMES, st.data())
def test_a_changed_byte_is_seen(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(encoded(frame))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert frames.decode(bytes(raw), 0, SEED) is None
        assert raw[0] == 0
    except Torn:
        pass


@given(FRAMES, st.data())
def test_a_cut_frame_says_how_many_bytes_it_needs(frame: Frame, data: st.DataObject) -> None:
    raw = encoded(frame)
    length = data.draw(st.integers(1, len(raw) - 1))
    with pytest.raises(Cut) as cut:
        frames.decode(raw[:length], 0, SEED)
    assert length < cut.value.size <= len(raw)


def test_zeros_and_nothing_are_the_end() -> None:
    assert frames.decode(b"", 0, SEED) is None
    assert frames.decode(bytes(100), 0, SEED) is None


@given(FRAMES)
def test_a_frame_of_another_file_is_none_of_this_one(frame: Frame) -> None:
    with pytest.raises(Torn):
        frames.decode(encoded(frame, frames.salt("00000000000000aa-00000002.seg")), 0, SEED)


def test_a_kind_of_a_newer_version_is_passed_over_whole() -> None:
    raw = b"".join(frames.encode(200, bytes(16), 1, b"h", b"body", home=1, seed=SEED))  # type: ignore[arg-type]  # unknown
    with pytest.raises(Strange) as strange:
        frames.decode(raw, 0, SEED)
    assert strange.value.size == len(raw)
