"""What tests of commands borrow: the store that the tests of exports look at, and a server that gets alerts."""

from tests.alerts.conftest import server
from tests.driftline.export.conftest import store

__all__ = ["server", "store"]
