"""The store that the tests of exports look at."""

from tests.driftline.export.conftest import store

__all__ = ["store"]
