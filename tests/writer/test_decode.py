"""Content codings are undone, whole or as far as a cut body goes; nothing damaged or too large passes for an answer."""

import gzip
import random
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tailrace.writer.decode import CodingError, decode

TEXT = b"data: {}\n\n" * 500
NOISE = random.Random(7).randbytes(20_000)


def bare(body: bytes) -> bytes:
    """Deflate without zlib's wrapping, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": bare,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("coding", CODERS)
@given(body=st.binary(max_size=3000))
def test_each_coding_is_undone(coding: str, body: bytes) -> None:
    assert decode(CODERS[coding](body), coding) == body


def test_codings_on_one_another_are_undone_from_the_last() -> None:
    twice = CODERS["zstd"](gzip.compress(TEXT))
    assert decode(twice, "gzip, identity, ZSTD ") == TEXT
    with pytest.raises(CodingError, match="3 codings"):
        decode(TEXT, "gzip, gzip, gzip")


def test_no_header_is_no_coding() -> None:
    assert decode(TEXT, None) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_follows_the_first_member_is_as_much_of_the_answer(coding: str) -> None:
    assert decode(CODERS[coding](b"one ") + CODERS[coding](b"two"), coding) == b"one two"


def test_so_many_members_that_they_would_take_for_ever_are_refused() -> None:
    assert decode(gzip.compress(b"x") * 100, "gzip") == b"x" * 100
    with pytest.raises(CodingError, match="more than 100 members"):
        decode(gzip.compress(b"x") * 101, "gzip")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate", "zstd"])
def test_a_cut_body_yields_its_beginning(coding: str) -> None:
    coded = CODERS[coding](NOISE)
    plain = decode(coded[: len(coded) // 2], coding)
    assert NOISE.startswith(plain)
    assert coding == "zstd" or len(plain) > 5000  # zstd gives whole blocks only


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate", "zstd"])
def test_what_is_damaged_is_refused(coding: str) -> None:
    with pytest.raises(CodingError, match=coding.lower()):
        decode(b"\xff" + CODERS[coding](TEXT)[1:], coding)
    with pytest.raises(CodingError, match=coding.lower()):
        decode(CODERS[coding](TEXT) + b"\xffrubbish", coding)


def test_an_unknown_coding_is_named() -> None:
    with pytest.raises(CodingError, match="unknown coding 'br'"):
        decode(TEXT, "br")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate", "zstd"])
def test_a_bomb_is_refused_and_the_bound_itself_is_not(coding: str) -> None:
    coded = CODERS[coding](bytes(100_000))
    assert decode(coded, coding, max_bytes=100_000) == bytes(100_000)
    for bound in (99_999, 65_536, 1, 0):
        with pytest.raises(CodingError, match=f"more than {bound} bytes"):
            decode(coded, coding, max_bytes=bound)
    with pytest.raises(CodingError, match="more than"):
        decode(coded + coded, coding, max_bytes=150_000)
