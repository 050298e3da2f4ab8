"""Images, sounds and files are told by reference and size, whatever the provider."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import JSON, Media
from collector.dialects.media import read_media
from collector.dialects.messages import read_turns

PNG = base64.b64encode(b"\x89PNG" + bytes(100)).decode()
SIZE = 104


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://x.io/a.png?sig=1"}},
            Media("image", None, "https://x.io/a.png"),
        ),
        ({"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}, Media("image", "image/png", None, SIZE)),
        ({"type": "input_image", "image_url": "https://x.io/a"}, Media("image", None, "https://x.io/a")),
        ({"type": "input_file", "file_id": "file-1"}, Media("file", None, "file-1")),
        ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}, Media("audio", "wav", None, SIZE)),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            Media("image", "image/png", None, SIZE),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x.io/d.pdf"}},
            Media("file", None, "https://x.io/d.pdf"),
        ),
        (
            {"type": "blob", "mime_type": "image/png", "modality": "image", "content": PNG},
            Media("image", "image/png", None, SIZE),
        ),
        ({"type": "uri", "modality": "video", "uri": "gs://b/v"}, Media("video", None, "gs://b/v")),
        ({"inline_data": {"mime_type": "image/webp", "data": PNG}}, Media("image", "image/webp", None, SIZE)),
        (
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/f"}},
            Media("file", "application/pdf", "gs://b/f"),
        ),
        ({"image": {"format": "png", "source": {"bytes": PNG}}}, Media("image", "png", None, SIZE)),
        ({"type": "file", "mediaType": "audio/mp3", "data": PNG}, Media("audio", "audio/mp3", None, SIZE)),
        ({"type": "image", "image": f"data:image/gif;base64,{PNG}"}, Media("image", "image/gif", None, SIZE)),
        ({"type": "image-url", "url": "https://x.io/p"}, Media("image", None, "https://x.io/p")),
        ({"type": "binary", "media_type": "image/png", "content": PNG}, Media("image", "image/png", None, SIZE)),
    ],
)
def test_every_providers_shape_is_read_as_part_of_a_message(part: dict[str, JSON], expected: Media) -> None:
    (turn,) = read_turns([{"role": "user", "content": [{"type": "text", "text": "see"}, part]}])
    assert (turn.text, turn.media) == ("see", [expected])
    assert turn.message().has_image == (expected.kind == "image")


def test_a_message_of_only_a_file_is_kept() -> None:
    (turn,) = read_turns([{"role": "user", "content": [{"type": "file", "file_id": "f"}]}])
    assert not turn.empty


def test_a_reference_is_bounded_and_holds_no_content() -> None:
    found = read_media({"type": "image_url", "image_url": {"url": "https://x.io/" + "a" * 100_000}})
    assert len(found.reference or "") == 500
    assert read_media({"type": "image", "url": "data:text/plain,hello"}) == Media("image", "text/plain", None, 5)


VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | st.sampled_from(["data:", "data:,", "data:x;base64,=", "https://", "png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "type", "url", "source", "image_url", "image", "data", "content", "format", "file", "bytes", "file_data",
    ]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["type", "url", "source", "image_url", "image", "data", "file"]), VALUES))
def test_nothing_raises(part: dict[str, JSON]) -> None:
    found = read_media(part)
    assert found.size_bytes is None or found.size_bytes >= 0
