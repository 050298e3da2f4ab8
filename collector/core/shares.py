"""Room that tenants share: who uses little always finds some, who uses much is told to wait, and none lies idle.

Source: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions
on Networking 6(2), 1998: each may hold `A` times what is free. With n tenants that take all they can get, each has
A / (1 + A n) of the room, and 1 / (1 + A n) of it stays free for whoever comes next.
"""

from collections import Counter
from collections.abc import Mapping
from threading import Lock

from collector.core.errors import Overloaded

_A = 4  # one alone may have 80 %, two 44 % each, ten 9.8 % each


class Shares:
    """Bytes in use, by tenant; safe from any thread.

    Where no tenant is named (the empty name) there is but the limit of all.
    """

    def __init__(self, limit_bytes: int, retry_seconds: float) -> None:
        self._limit, self._retry_seconds = limit_bytes, retry_seconds
        self._used: Counter[bytes] = Counter()
        self._total = 0
        self._lock = Lock()

    @property
    def total_bytes(self) -> int:
        return self._total

    def take(self, sizes: Mapping[bytes, int]) -> None:
        """Take bytes for tenants: for all or, if one of them has no room, for none. The last one taken may go over.

        Raises:
            Overloaded: `backlog`: there is no room for anybody; `tenant_share`: a tenant has its share.
        """
        with self._lock:
            if self._total > self._limit:
                raise Overloaded("backlog", f"{self._total} bytes wait to be evaluated", self._retry_seconds)
            most = _A * (self._limit - self._total)
            for tenant in sizes:
                if tenant and 0 < self._used[tenant] >= most:
                    told = f"{self._used[tenant]} bytes of {tenant.decode('utf-8', 'replace')} wait to be evaluated"
                    raise Overloaded("tenant_share", f"{told}; others need room too", self._retry_seconds)
            self._add(sizes)

    def force(self, sizes: Mapping[bytes, int]) -> None:
        """Take bytes whether or not there is room."""
        with self._lock:
            self._add(sizes)

    def give(self, sizes: Mapping[bytes, int]) -> None:
        """Give bytes back."""
        with self._lock:
            for tenant, size in sizes.items():
                left = self._used[tenant] - size
                self._total -= min(size, self._used[tenant])
                if left > 0:
                    self._used[tenant] = left
                else:
                    del self._used[tenant]

    def reset(self, sizes: Mapping[bytes, int]) -> None:
        """This is what is in use."""
        with self._lock:
            self._used, self._total = Counter(), 0
            self._add(sizes)

    def _add(self, sizes: Mapping[bytes, int]) -> None:
        for tenant, size in sizes.items():
            if size:
                self._used[tenant] += size
                self._total += size
