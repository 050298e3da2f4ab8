"""What is for a cluster, without one. With one it is tested where the workers are: tests/real/test_kafka_cluster.py."""

import pytest

from tests.driftline.conftest import Run


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_without_a_cluster_there_are_no_topics(run: Run, command: str) -> None:
    done = run("topics", command)
    assert done.code == 2
    assert done.err == (
        "driftline: cluster: is not configured, so there are no topics; one SQLite file keeps everything\n"
    )


def test_a_role_is_for_a_cluster(run: Run) -> None:
    done = run("serve", "--role", "score")
    assert done.code == 2
    assert done.err == (
        "driftline: --role score is for several workers on a Kafka cluster, and `cluster` is not configured\n"
    )
