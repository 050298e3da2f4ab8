"""Documents as YAML that people read: queries as blocks, keys in the order they were given."""

from collections.abc import Sequence
from typing import Any

import yaml

_WIDTH = 118


class _Dumper(yaml.SafeDumper):
    """Indents lists under their key, which is how such files are written by hand."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(documents: Sequence[dict[str, Any]], head: Sequence[str]) -> str:
    """The documents, one after the other, under a comment.

    >>> print(to_yaml([{"expr": "up\\n== 0", "labels": ["a"]}, {"b": 1}], ["Two documents."]), end="")
    # Two documents.
    expr: |-
      up
      == 0
    labels:
      - a
    ---
    b: 1
    """
    parts = [
        yaml.dump(one, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True, default_flow_style=False)
        for one in documents
    ]
    return "".join(f"# {line}\n" for line in head) + "---\n".join(parts)
