"""Images, sounds and files in messages: what they are, where, and how large. Their content is never decoded."""

from collector.core.model import JSON, Media, MediaKind
from collector.dialects.values import text

_REFERENCES = ("url", "uri", "file_uri", "fileUri", "image_url", "file_id", "fileId", "s3Location", "filename", "name")
_CONTENTS = ("data", "content", "bytes", "file_data", "fileData", "base64", "b64_json", "image")
_TYPES = ("mime_type", "mimeType", "media_type", "mediaType", "contentType", "format")
_INNER = (
    *("source", "image_url", "image", "input_audio", "file", "inline_data", "inlineData", "file_data", "fileData"),
    *("document", "s3Location", "audio", "video", "media"),
)
_INNER_DEPTH = 3
_LONGEST_REFERENCE = 500
_LONGEST_HEAD = 200  # of a data URL, up to the comma
_LOCATORS = ("http://", "https://", "gs://", "s3://", "file://", "ipfs://")


def read_media(part: dict[str, JSON], kind: str = "") -> Media:
    """A part of a message that is no text, in any provider's shape.

    >>> read_media({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}})
    Media(kind='image', mime_type='image/png', reference=None, size_bytes=8)
    >>> read_media({"type": "file", "file_id": "file-9", "modality": "document"})
    Media(kind='file', mime_type=None, reference='file-9', size_bytes=None)
    """
    found = Media("file")
    _gather(found, part, 0)
    stated = (found.mime_type, part.get("modality"), part.get("type"), kind, *part)
    found.kind = _kind(stated)
    return found


def media_at(url: JSON, kind: MediaKind = "image") -> Media:
    """What an address or a data URL stands for."""
    found = Media(kind)
    if isinstance(url, str):
        _locate(found, url)
    return found


def _gather(found: Media, part: dict[str, JSON], depth: int) -> None:
    for key in _TYPES:
        found.mime_type = found.mime_type or text(part.get(key))
    for key in _REFERENCES:
        if isinstance(said := part.get(key), str) and said and found.reference is None:
            _locate(found, said)
    for key in _CONTENTS:
        if isinstance(said := part.get(key), str) and said and found.size_bytes is None:
            _content(found, said)
    if depth < _INNER_DEPTH:
        for key in _INNER:
            if isinstance(inner := part.get(key), dict):
                _gather(found, inner, depth + 1)


def _content(found: Media, said: str) -> None:
    """Content, or an address that stands where content would."""
    if said.startswith(("data:", *_LOCATORS)):
        _locate(found, said)
    else:
        found.size_bytes = _decoded_bytes(said, 0)


def _locate(found: Media, said: str) -> None:
    if not said.startswith("data:"):
        # What follows the path of an address is often a signature, with which anybody could open it.
        address = said.partition("?")[0] if said.startswith(_LOCATORS) else said
        found.reference = address[:_LONGEST_REFERENCE]
        return
    head, comma, _ = said[:_LONGEST_HEAD].partition(",")
    mime_type = head.removeprefix("data:").partition(";")[0]
    found.mime_type = mime_type or found.mime_type
    if comma:
        encoded = head.endswith("base64")
        found.size_bytes = _decoded_bytes(said, len(head) + 1) if encoded else len(said) - len(head) - 1


def _decoded_bytes(encoded: str, start: int) -> int:
    """How many bytes base64 text stands for, by its length."""
    padding = len(encoded[-2:]) - len(encoded[-2:].rstrip("="))
    return max(0, (len(encoded) - start) * 3 // 4 - padding)


def _kind(stated: tuple[JSON, ...]) -> MediaKind:
    words = [said.lower() for said in stated if isinstance(said, str)]
    for kind in _KINDS:
        if any(kind in said for said in words):
            return kind
    return "image" if any(said in _IMAGE_FORMATS for said in words) else "file"


_KINDS: tuple[MediaKind, ...] = ("image", "audio", "video")
_IMAGE_FORMATS = frozenset({"png", "jpeg", "jpg", "gif", "webp"})
