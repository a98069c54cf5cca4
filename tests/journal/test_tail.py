"""Reading a segment: what was written whole comes, what was cut or never synced is passed over, damage is set aside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.journal import frames
from tailrace.journal.frames import Frame, Kind
from tailrace.journal.segment import Name, PosixDisk, Segment
from tailrace.journal.tail import Damage, Tail

NAME = Name("00000000000000aa", 1)
SALT = frames.salt(NAME.file)
BODIES = st.lists(st.binary(max_size=700).map(lambda body: body + b"}"), min_size=1, max_size=6)


def frame(number: int, body: bytes, kind: Kind = Kind.PART, seed: int = SALT) -> bytes:
    id_ = number.to_bytes(16, "big")
    return b"".join(frames.encode(kind, id_, 1000 + number, b'{"n":1}', body, home=1, seed=seed))


def image(bodies: list[bytes], *, sealed: bool = False) -> tuple[bytes, list[int]]:
    """A segment's written bytes, and where each frame ends."""
    whole, ends = b"", []
    for number, body in enumerate(bodies):
        whole += frame(number, body)
        ends.append(len(whole))
    return (whole + frame(0, b"", Kind.SEAL) if sealed else whole), ends


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


@contextmanager
def holding(data: bytes) -> Iterator[Tail]:
    """A tail over a segment with these bytes, whose owner is gone."""
    with TemporaryDirectory() as folder:
        (Path(folder) / NAME.file).write_bytes(data)
        tail = Tail(Path(folder), NAME)
        yield tail
        tail.close()


def read(tail: Tail) -> tuple[list[bytes], list[Damage]]:
    """Bodies of the frames, and the damage, to the end."""
    bodies: list[bytes] = []
    damage: list[Damage] = []
    while (item := tail.next()) is not None:
        if isinstance(item, Frame):
            bodies.append(item.body)
        else:
            damage.append(item)
    return bodies, damage


@given(BODIES, st.integers(0, 5000))
def test_all_that_was_written_comes(bodies: list[bytes], reserved: int) -> None:
    with holding(image(bodies)[0] + bytes(reserved)) as tail:
        assert read(tail) == (bodies, [])
        assert tail.finished


@given(BODIES, st.data())
def test_a_file_cut_anywhere_loses_only_what_was_cut(bodies: list[bytes], data: st.DataObject) -> None:
    whole, ends = image(bodies)
    cut = data.draw(st.integers(0, len(whole)))
    with holding(whole[:cut]) as tail:
        assert read(tail) == ([body for body, end in zip(bodies, ends, strict=True) if end <= cut], [])


@given(BODIES, st.data())
def test_a_write_stopped_between_sectors_loses_only_what_was_not_written(
    bodies: list[bytes], data: st.DataObject
) -> None:
    whole, ends = image(bodies)
    cut = data.draw(st.integers(0, len(whole) // 512)) * 512
    with holding(whole[:cut] + bytes(8192)) as tail:
        assert read(tail) == ([body for body, end in zip(bodies, ends, strict=True) if end <= cut], [])


@given(BODIES, st.data())
def test_a_changed_byte_costs_its_frame_and_no_other(bodies: list[bytes], data: st.DataObject) -> None:
    whole, ends = image(bodies, sealed=True)
    at = data.draw(st.integers(0, ends[-1] - 1))
    raw = bytearray(whole)
    raw[at] ^= data.draw(st.integers(1, 255))
    hit = next(index for index, end in enumerate(ends) if at < end)
    with holding(bytes(raw)) as tail:
        found, damage = read(tail)
    assert found == bodies[:hit] + bodies[hit + 1 :]
    begin = ends[hit - 1] if hit else 0
    assert [(one.offset, one.raw) for one in damage] == [(begin, bytes(raw[begin : ends[hit]]).rstrip(b"\0"))]


@given(BODIES, st.data())
def test_a_hole_that_was_never_synced_is_no_damage(bodies: list[bytes], data: st.DataObject) -> None:
    whole, ends = image(bodies, sealed=True)
    hit = data.draw(st.integers(0, len(bodies) - 1))
    begin = ends[hit - 1] if hit else 0
    with holding(whole[:begin] + bytes(ends[hit] - begin) + whole[ends[hit] :]) as tail:
        assert read(tail) == (bodies[:hit] + bodies[hit + 1 :], [])


def test_damage_of_the_last_frame_is_told_from_a_cut() -> None:
    whole, _ = image([b"one}", b"x" * 800 + b"}"])
    raw = bytearray(whole)
    raw[-100] ^= 1
    with holding(bytes(raw) + bytes(4096)) as tail:
        found, damage = read(tail)
    assert found == [b"one}"]
    assert len(damage) == 1


def test_a_frame_hidden_in_a_body_is_not_taken_for_one() -> None:
    """Even behind damage: its checksum lacks the name of the file, which no client knows."""
    forged = frame(9, b"forged}", seed=0)
    other_file = frame(9, b"stale}", seed=frames.salt(Name("00000000000000aa", 2).file))
    whole = bytearray(image([forged + other_file + b"}", b"two}"])[0])
    whole[5] ^= 1
    with holding(bytes(whole)) as tail:
        found, damage = read(tail)
    assert found == [b"two}"]
    assert len(damage) == 1


def test_a_length_that_claims_the_world_takes_no_memory_and_hides_nothing() -> None:
    raw = bytearray(image([b"one}", b"two}"], sealed=True)[0])
    raw[4:8] = (2**30).to_bytes(4, "little")
    with holding(bytes(raw)) as tail:
        found, damage = read(tail)
    assert found == [b"two}"]
    assert len(damage) == 1


def test_frames_over_the_edges_of_blocks_are_whole() -> None:
    bodies = [bytes([65 + number % 26]) * size for number, size in enumerate([65_000, 3_000, 2_000_000, 10, 1_100_000])]
    with holding(image(bodies)[0] + bytes(10)) as tail:
        assert read(tail) == (bodies, [])


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Segment]:
    segment = Segment.create(tmp_path, NAME, 2**20, PosixDisk())
    yield segment
    if not segment.closed:
        segment.close()


def test_a_live_segment_is_read_as_it_grows(tmp_path: Path, live: Segment) -> None:
    tail = Tail(tmp_path, NAME)
    assert tail.next() is None
    first, second = frame(1, b"one"), frame(2, b"two" * 1000)
    live.write([first, second[:200]], 0)
    assert read(tail) == ([b"one"], []), "a frame half written is not there yet"
    assert not tail.finished
    live.write([second[200:]], len(first) + 200)
    assert read(tail) == ([b"two" * 1000], [])
    live.write([frame(3, b"three")], len(first) + len(second))
    live.close()
    assert read(tail) == ([b"three"], []), "written after the last look and before the lock was let go"
    assert tail.finished


def test_a_seal_is_the_end_even_of_a_live_segment(tmp_path: Path, live: Segment) -> None:
    tail = Tail(tmp_path, NAME)
    live.write([frame(1, b"one"), frame(0, b"", Kind.SEAL), frame(2, b"behind")], 0)
    assert read(tail) == ([b"one"], [])
    assert tail.finished


def test_a_record_of_a_newer_version_stops_nobody(tmp_path: Path, live: Segment) -> None:
    tail = Tail(tmp_path, NAME)
    newer = frame(2, b"newer", kind=200)  # type: ignore[arg-type]  # no kind of this version
    live.write([frame(1, b"one"), newer, frame(3, b"three")], 0)
    found, damage = read(tail)
    assert found == [b"one", b"three"]
    assert [one.raw for one in damage] == [newer]
    tail.close()


def test_a_record_is_read_again_where_it_stood(tmp_path: Path) -> None:
    (tmp_path / NAME.file).write_bytes(image([b"one", b"two"])[0])
    tail = Tail(tmp_path, NAME)
    first = tail.next()
    assert isinstance(first, Frame)
    before = open_files()
    assert read(tail) == ([b"two"], [])
    assert tail.read(0, first.size) == first
    assert open_files() < before, "a segment read to its end is not kept open"
