"""Whose name a request was sent to.

A page of somebody else's, open in a browser on this machine, can have its own name resolve to an address here (DNS
rebinding). Its requests have that name as their Host, which is how they are told from ours.
"""

import ipaddress
from collections.abc import Collection


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is an IP address, which nobody's name is, `localhost`, or one of `names`.

    >>> is_ours("[::1]:8321", []), is_ours("evil.example:8321", []), is_ours("a.example", ["a.example"])
    (True, False, True)
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost") or name in names  # none: HTTP/1.0, which no browser speaks
    return True
