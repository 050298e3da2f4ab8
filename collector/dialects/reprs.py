"""Parts of a message as the `repr` of the provider's Python objects, which some instrumentations write for text.

For instance `text='What is this?' type='text'` and `image_url=ImageURL(url='data:...')` for the parts of a Mistral
message, or `media_resolution=None ... text='What is this?'` for one of google-genai.
"""

import ast
import re

from collector.dialects.turns import Turn

_FIELDS = re.compile(r"^\w+=(?:None|'|\"|[A-Z]\w*\().*\b(?:type|function_call|thought)=", re.DOTALL)
_TEXT = re.compile(r"\btext=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_MEDIA = re.compile(r"\b(?:inline_data=Blob|file_data=FileData|image_url=ImageURL)\(|\bimage_url='")
_LONGEST = 200_000


def is_part(said: str) -> bool:
    """Whether a text is the `repr` of a part."""
    return len(said) <= _LONGEST and _FIELDS.match(said) is not None


def spelled_out(turn: Turn) -> Turn:
    """The message with what its parts say, where they are such texts; otherwise as it is.

    >>> spelled_out(Turn(texts=["text='Hi!' type='text'", "image_url=ImageURL(url='x') type='image_url'"])).texts
    ['Hi!']
    """
    if not any(map(is_part, turn.texts)):
        return turn
    texts, turn.texts = turn.texts, []
    for said in texts:
        if not is_part(said):
            turn.texts.append(said)
            continue
        turn.has_image = turn.has_image or _MEDIA.search(said) is not None
        found = _TEXT.search(said)
        if found:
            turn.texts.append(_literal(found[1]))
    return turn


def _literal(quoted: str) -> str:
    try:
        return str(ast.literal_eval(quoted))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return quoted[1:-1]
