"""Parts of a message as the `repr` of the provider's Python objects, which some instrumentations write for text.

For instance `text='What is this?' type='text'` and `image_url=ImageURL(url='data:...')` for the parts of a Mistral
message, or `media_resolution=None ... text='What is this?'` for one of google-genai.
"""

import re

from collector.core.model import Media
from collector.dialects.media import read_media
from collector.dialects.turns import Turn
from collector.dialects.values import unquoted

_FIELDS = re.compile(r"^\w+=(?:None|'|\"|[A-Z]\w*\().*\b(?:type|function_call|thought)=", re.DOTALL)
_TEXT = re.compile(r"\btext=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_MEDIA = re.compile(r"\b(?:inline_data=Blob|file_data=FileData|image_url=ImageURL)\(|\bimage_url='")
_WHERE_AND_WHAT = re.compile(r"\b(url|image_url|file_uri|mime_type)='([^']*)'")
_LONGEST = 200_000


def is_part(said: str) -> bool:
    """Whether a text is the `repr` of a part."""
    return len(said) <= _LONGEST and _FIELDS.match(said) is not None


def spelled_out(turn: Turn) -> Turn:
    """The message with what its parts say, where they are such texts; otherwise as it is.

    >>> spelled_out(Turn(texts=["text='Hi!' type='text'", "image_url=ImageURL(url='x') type='image_url'"])).texts
    ['Hi!']
    """
    for said in turn.texts:
        if "=" in said and is_part(said):
            break
    else:
        return turn  # nearly always
    texts, turn.texts = turn.texts, []
    for said in texts:
        if not is_part(said):
            turn.texts.append(said)
            continue
        if _MEDIA.search(said) is not None:
            turn.media.append(_media(said))
        found = _TEXT.search(said)
        if found:
            turn.texts.append(unquoted(found[1]))
    return turn


def _media(said: str) -> Media:
    kind = "image" if "image_url=" in said else "file"
    return read_media({"type": kind, **dict(_WHERE_AND_WHAT.findall(said))})
