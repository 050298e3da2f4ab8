"""Parts of a message as the `repr` of the provider's Python objects, which some instrumentations write for text.

For instance `text='What is this?' type='text'` and `image_url=ImageURL(url='data:...')` for the parts of a Mistral
message, or `media_resolution=None ... text='What is this?'` for one of google-genai.
"""

import re
from collections.abc import Iterable

from collector.core.model import Media, RequestedCall
from collector.dialects.media import read_media
from collector.dialects.turns import Turn
from collector.dialects.values import structured, unquoted

_FIELDS = re.compile(r"^\w+=(?:None|'|\"|[A-Z]\w*\().*\b(?:type|function_call|thought)=", re.DOTALL)
_QUOTED = r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_TEXT = re.compile(rf"\btext={_QUOTED}")
_MEDIA = re.compile(r"\b(?:inline_data=Blob|file_data=FileData|image_url=ImageURL)\(|\bimage_url='")
_WHERE_AND_WHAT = re.compile(r"\b(url|image_url|file_uri|mime_type)='([^']*)'")
_RESULT = "ToolCallResult(result="
_RESULT_OF = re.compile(rf"{_QUOTED}, origin=ToolCall\(.*?\}}, id='([^']*)'", re.DOTALL)
_CALL, _ARGUMENTS = "ToolCall(tool_name='", "', arguments="
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


def complete_from_repr(turn: Turn, said: str) -> None:
    """Add the tool's result, or the calls, that a message does not tell and its `repr` in Haystack does.

    >>> turn = Turn("tool")
    >>> origin = "ToolCall(tool_name='t', arguments={}, id='c1', extra=None)"
    >>> result = f"ToolCallResult(result='4 degrees', origin={origin}, error=False)"
    >>> complete_from_repr(turn, f"ChatMessage(_role=<ChatRole.TOOL: 'tool'>, _content=[{result}], _name=None)")
    >>> turn.texts, turn.tool_call_id
    (['4 degrees'], 'c1')
    """
    if not said.startswith("ChatMessage(") or len(said) > _LONGEST:
        return
    if turn.role == "tool" and turn.empty and _RESULT in said:
        found = _RESULT_OF.match(said, said.index(_RESULT) + len(_RESULT))
        if found is not None:
            turn.texts.append(unquoted(found[1]))
            turn.tool_call_id = found[2]
    elif turn.role == "assistant" and not turn.tool_calls:
        turn.tool_calls.extend(_calls(said))


def _calls(said: str) -> Iterable[RequestedCall]:
    for call in said.split(_CALL)[1:]:
        name, named, rest = call.partition(_ARGUMENTS)
        arguments, closed, rest = rest.partition("}, id=")
        if named and closed:
            call_id = rest[1:].partition("'")[0] if rest.startswith("'") else None
            yield RequestedCall(name, structured(arguments + "}"), call_id)


def _media(said: str) -> Media:
    kind = "image" if "image_url=" in said else "file"
    return read_media({"type": kind, **dict(_WHERE_AND_WHAT.findall(said))})
