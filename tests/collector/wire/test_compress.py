"""Decompression: what comes out is what went in, or a rejection, and never more than allowed."""

import contextlib
import gzip
import sys
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.errors import Rejected
from collector.wire.compress import decompress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 1 << 20


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "deflate": zlib.compress,
    "zlib": zlib.compress,
    "identity": bytes,
}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=5000), st.sampled_from(sorted(PACKERS)))
def test_what_was_packed_comes_out(data: bytes, encoding: str) -> None:
    assert decompress(PACKERS[encoding](data), encoding, LIMIT) == data


def test_the_name_may_be_in_any_case_and_empty_means_identity() -> None:
    assert decompress(gzip.compress(b"x", mtime=0), " GZip ", LIMIT) == b"x"
    assert decompress(b"x", "", LIMIT) == b"x"


def test_deflate_without_its_header_is_taken() -> None:
    assert decompress(_raw_deflate(b"spans" * 9), "deflate", LIMIT) == b"spans" * 9


def test_members_one_after_the_other_are_joined_and_padding_is_skipped() -> None:
    assert decompress(gzip.compress(b"one", mtime=0) + gzip.compress(b"two") + bytes(12), "gzip", LIMIT) == b"onetwo"


def test_a_hundred_thousand_empty_members_are_no_trouble() -> None:
    assert decompress(gzip.compress(b"", mtime=0) * 100_000 + gzip.compress(b"x"), "gzip", LIMIT) == b"x"


@pytest.mark.parametrize("encoding", sorted(PACKERS))
def test_the_limit_is_the_last_length_taken(encoding: str) -> None:
    packed = PACKERS[encoding](bytes(1000))
    assert len(decompress(packed, encoding, 1000)) == 1000
    with pytest.raises(Rejected, match="999 bytes") as raised:
        decompress(packed, encoding, 999)
    assert raised.value.reason == "too_large"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_without_being_unpacked(encoding: str) -> None:
    bomb = PACKERS[encoding](bytes(200 * LIMIT))
    tracemalloc.start()
    try:
        with pytest.raises(Rejected) as raised:
            decompress(bomb, encoding, LIMIT)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raised.value.reason == "too_large"
    assert peak_bytes < 5 * LIMIT


def test_a_bomb_of_many_members_or_with_a_lying_trailer_is_refused() -> None:
    lying = gzip.compress(bytes(8 * LIMIT))[:-4] + b"\x01\x00\x00\x00"
    for body in (gzip.compress(bytes(LIMIT)) * 8, lying):
        with pytest.raises(Rejected) as raised:
            decompress(body, "gzip", LIMIT)
        assert raised.value.reason == "too_large"


_PACKED = gzip.compress(b"spans " * 100, mtime=0)


@pytest.mark.parametrize(
    "body",
    [b"x", b"hello, world", *(_PACKED[:length] for length in range(1, len(_PACKED), 7)), _PACKED[:-8] + bytes(8)],
)
def test_damaged_gzip_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected, match="is not gzip") as raised:
        decompress(body, "gzip", LIMIT)
    assert raised.value.reason == "bad_gzip"


@pytest.mark.parametrize("body", [b"hello, world", zlib.compress(b"x" * 99)[:-3], b"\x78\x9c"])
def test_damaged_deflate_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected, match="is not deflate") as raised:
        decompress(body, "deflate", LIMIT)
    assert raised.value.reason == "bad_gzip"


def test_an_unknown_encoding_is_named_with_what_is_allowed() -> None:
    with pytest.raises(Rejected, match="'br' is not one of gzip, zstd, deflate, identity") as raised:
        decompress(b"", "br", LIMIT)
    assert raised.value.reason == "unsupported_encoding"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_give_a_result_or_a_rejection(body: bytes, encoding: str) -> None:
    for candidate in (body, gzip.compress(b"", mtime=0)[:10] + body):
        with contextlib.suppress(Rejected):
            assert len(decompress(candidate, encoding, 500)) <= 500


def test_frames_of_zstd_one_after_the_other_are_joined_but_not_without_end() -> None:
    frames = [zstd.compress(text) for text in (b"one", b"", b"two")]
    assert decompress(b"".join(frames), "zstd", LIMIT) == b"onetwo"
    with pytest.raises(Rejected, match="more than 64 frames"):
        decompress(zstd.compress(b"") * 65, "zstd", LIMIT)


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_damaged_zstd_is_rejected(length: int) -> None:
    packed = zstd.compress(bytes(range(256)) * 3)
    for body in (packed[:length], b"x" * length, packed + b"x"):
        with pytest.raises(Rejected, match="is not zstd") as raised:
            decompress(body, "zstd", LIMIT)
        assert raised.value.reason == "bad_gzip"


def test_a_zstd_window_of_gigabytes_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    body = packer.compress(b"spans") + packer.flush()
    with pytest.raises(Rejected, match="is not zstd"):
        decompress(body, "zstd", LIMIT)
