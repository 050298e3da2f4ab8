"""Connections, or calls, at a time: so many of a listener in all, and of one client, so that none shuts out others."""

from collections import Counter

CONNECTIONS = "connections"
ADDRESS_CONNECTIONS = "address_connections"


class Places:
    """Places for so many, of which one client may have a part."""

    def __init__(self, most: int, most_of_one: int | None = None) -> None:
        """
        Args:
            most_of_one: None: nine tenths, so that one address of all senders, as that of a proxy, hardly loses any.
        """
        self._most = most
        self.most_of_one = most - most // 10 if most_of_one is None else most_of_one
        self._taken: Counter[str] = Counter()
        self._all = 0

    def take(self, client: str) -> str:
        """Give the client a place, to be given back; or the reason why there is none, and empty if there is.

        >>> places = Places(3, most_of_one=2)
        >>> [places.take(client) for client in ("a", "a", "a", "b", "c")]
        ['', '', 'address_connections', '', 'connections']
        """
        if self._all >= self._most:
            return CONNECTIONS
        if self._taken[client] >= self.most_of_one:
            return ADDRESS_CONNECTIONS
        self._taken[client] += 1
        self._all += 1
        return ""

    def give_back(self, client: str) -> None:
        self._all -= 1
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]  # a million addresses may come and go
