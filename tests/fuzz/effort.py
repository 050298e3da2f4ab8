"""How long to look: a short run with the other tests, the same each time; `make fuzz` looks on, each time elsewhere."""

import os

from hypothesis import HealthCheck, settings

_EXAMPLES = "DRIFTLINE_FUZZ_EXAMPLES"

fuzz = settings(
    max_examples=int(os.environ.get(_EXAMPLES, "60")),
    deadline=None,
    derandomize=_EXAMPLES not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
"""To decorate tests with."""
