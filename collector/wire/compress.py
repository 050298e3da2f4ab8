"""Bodies as they were before compression, never longer than allowed.

Sources: RFC 1952 (gzip), RFC 9110 section 8.4.1 (`deflate` is the zlib format; some senders leave its header out),
RFC 8878 and 9659 (zstd). The OpenTelemetry Collector's exporters call deflate also `zlib`.
"""

import sys
from io import BytesIO

from isal import igzip, isal_zlib

from collector.core.errors import Rejected

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS = ("gzip", "zstd", "deflate", "identity")

_CHUNK_BYTES = 256 * 1024
_RAW_DEFLATE = -15
_ZLIB = 15
_GZIP = 31
_MOST_FRAMES = 64
# RFC 9659 asks for windows of 8 MiB at most; the Collector's encoder uses up to 32 MiB at its best compression.
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 25}
_DAMAGED: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def decompress(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """`body` without its content encoding.

    Args:
        body: the bytes as received.
        encoding: a Content-Encoding, in any case; empty means `identity`.
        limit_bytes: the most that may come out. Memory use stays below it plus a chunk, whatever comes in.

    Raises:
        Rejected: `too_large`, `bad_gzip` (damaged or cut off, also for deflate and zstd) or `unsupported_encoding`.

    >>> decompress(igzip.compress(b"spans"), "gzip", limit_bytes=10)
    b'spans'
    """
    match encoding.strip().lower():
        case "" | "identity":
            return _bounded(body, limit_bytes)
        case "gzip" | "x-gzip":
            return _gunzip(body, limit_bytes)
        case "zstd":
            return _unzstd(body, limit_bytes)
        case "deflate" | "zlib":
            return _inflate(body, limit_bytes)
        case other:
            raise Rejected(
                "unsupported_encoding", f"content encoding {other[:40]!r} is not one of {', '.join(ENCODINGS)}"
            )


def _bounded(body: bytes, limit_bytes: int) -> bytes:
    if len(body) > limit_bytes:
        raise Rejected("too_large", f"the body is longer than {limit_bytes} bytes")
    return body


def _gunzip(body: bytes, limit_bytes: int) -> bytes:
    """The fast path: one member, whose trailer says how long it is so that the buffer need not grow."""
    stream = isal_zlib.decompressobj(wbits=_GZIP)
    promised_bytes = int.from_bytes(body[-4:], "little")
    try:
        out = stream.decompress(body, min(promised_bytes, limit_bytes) + 1)
    except _DAMAGED:
        return _gunzip_members(body, limit_bytes)  # says better what is wrong
    if stream.eof and not stream.unused_data:
        return _bounded(out, limit_bytes)
    return _gunzip_members(body, limit_bytes)


def _gunzip_members(body: bytes, limit_bytes: int) -> bytes:
    """The slow path: any number of gzip members; zeros after the last are padding."""
    chunks: list[bytes] = []
    room = limit_bytes + 1
    try:
        with igzip.IGzipFile(fileobj=BytesIO(body), mode="rb") as file:  # type: ignore[no-untyped-call]
            while room > 0 and (chunk := file.read(min(_CHUNK_BYTES, room))):
                chunks.append(chunk)
                room -= len(chunk)
    except (OSError, EOFError, ValueError, _DAMAGED) as error:
        raise Rejected("bad_gzip", f"the body is not gzip: {error}") from None
    return _bounded(chunks[0] if len(chunks) == 1 else b"".join(chunks), limit_bytes)


def _inflate(body: bytes, limit_bytes: int) -> bytes:
    if not body:
        return body
    has_header = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    stream = isal_zlib.decompressobj(wbits=_ZLIB if has_header else _RAW_DEFLATE)
    try:
        out = stream.decompress(body, limit_bytes + 1)
    except _DAMAGED as error:
        raise Rejected("bad_gzip", f"the body is not deflate: {error}") from None
    _bounded(out, limit_bytes)
    if not stream.eof:
        raise Rejected("bad_gzip", "the body is not deflate: it is cut off")
    return out


def _unzstd(body: bytes, limit_bytes: int) -> bytes:
    """One frame, or a few one after the other. (What follows a frame is copied, so many would take long.)"""
    chunks: list[bytes] = []
    room = limit_bytes + 1
    try:
        while body and room > 0:
            if len(chunks) == _MOST_FRAMES:
                raise Rejected("bad_gzip", f"the body is more than {_MOST_FRAMES} frames of zstd")
            frame = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
            chunks.append(frame.decompress(body, room))
            room -= len(chunks[-1])
            if not frame.eof and room > 0:
                raise Rejected("bad_gzip", "the body is not zstd: it is cut off")
            body = frame.unused_data
    except zstd.ZstdError as error:
        raise Rejected("bad_gzip", f"the body is not zstd: {error}") from None
    return _bounded(chunks[0] if len(chunks) == 1 else b"".join(chunks), limit_bytes)
