"""How to silence a change: the command for Alertmanager, safe to paste whatever traffic called its slices."""

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+-]{1,100}", re.ASCII)
_LEFT_OUT = ("severity", "test")


def silence(labels: Mapping[str, str]) -> str:
    """The command that silences alerts of these labels for two hours.

    A label with a value that a shell or Alertmanager could take for anything but plain text is left out: the silence is
    then wider, and says so.

    >>> silence({"alertname": "DriftlineChange", "service": "shop", "severity": "page"})
    "amtool silence add alertname=DriftlineChange service=shop --duration=2h --comment='who, and why'"
    """
    chosen = {name: value for name, value in labels.items() if name not in _LEFT_OUT}
    plain = {name: value for name, value in chosen.items() if _PLAIN.fullmatch(name) and _PLAIN.fullmatch(value)}
    matchers = " ".join(f"{name}={value}" for name, value in plain.items())
    command = f"amtool silence add {matchers} --duration=2h --comment='who, and why'"
    left_out = len(chosen) - len(plain)
    if not left_out:
        return command
    return f"{command} (wider than this alert: {left_out} label{'s' if left_out > 1 else ''} left out)"
