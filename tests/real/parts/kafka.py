"""Real Apache Kafka brokers (KRaft) from their Maven artefacts, on free ports and with data of their own."""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from tests.real.parts.process import Process, free_ports, missing, program, wait_until

_HERE = Path(__file__).parent / "broker"
_POM = _HERE / "pom.xml"
_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"  # any 16 bytes in base64
_OLDEST_JAVA = 17  # Kafka 4 does not start on less
_FETCH_SECONDS = 600.0
_FORMAT_SECONDS = 60.0

# Small and quick to start; the cleaner's default buffer alone is a quarter of the heap.
_JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class KafkaBroker:
    """One broker. It can be stopped or killed, and started again on the same port with the same data.

    Topics are made with `create_topic`: nothing is created by merely being named, as in most production clusters.

    Args:
        first: the broker that is the cluster's controller; None: this one is.
        node: its number in the cluster.
        listeners: more of them, as Kafka writes them: NAME://HOST:PORT.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        first: "KafkaBroker | None" = None,
        node: int = 1,
        listeners: Sequence[str] = (),
    ) -> None:
        self.folder, self.node, self._listeners = folder, node, listeners
        self.port, self._controller_port = free_ports(2)
        if first is not None:
            self._controller_port = first._controller_port
        self._java = _java_command(fetch_kafka(cache_folder()))
        self._settings = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(self._properties(settings or {}))
        self._format()
        self.process = Process("kafka", [*self._java, "kafka.Kafka", str(self._settings)], folder / "kafka.log")

    @property
    def address(self) -> str:
        """`host:port`, as clients want it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers an administrator."""
        self.process.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return when it answers an administrator."""
        self.process.wait_ready(self._answers)

    def stop(self) -> None:
        """Shut down in good order: what it holds is written out first."""
        self.process.stop()

    def kill(self) -> None:
        """Die at once, as in a crash."""
        self.process.kill()

    def create_topic(self, name: str, partitions: int = 1, **configs: str) -> str:
        """Create a topic; `configs` are Kafka's, with underscores for dots (`cleanup_policy="compact"`)."""
        dotted = {key.replace("_", "."): value for key, value in configs.items()}
        with self.admin() as admin:
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dotted)])
            admin.wait_for_topics([name])
        return name

    def records(self, topic: str) -> list[Any]:
        """The committed records that are in a topic now, partition by partition in their order."""
        with self.consumer() as consumer:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            ends = consumer.end_offsets(places)
            consumer.assign(places)
            found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
            while any(consumer.position(place) < ends[place] for place in places):
                for place, records in consumer.poll(timeout_ms=200).items():
                    found[place] += records
        return [record for records in found.values() for record in records]

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The offset after the last record of each partition."""
        with self.consumer(isolation_level="read_uncommitted") as consumer:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            return {place.partition: offset for place, offset in consumer.end_offsets(partitions).items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The offset each partition of `topic` is committed at in a consumer group; absent where there is none."""
        with self.consumer(group_id=group) as consumer:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            found = {place.partition: consumer.committed(place) for place in partitions}
        return {number: offset for number, offset in found.items() if offset is not None}

    # kafka-python's clients, each closed at the end of its block

    @contextlib.contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.address)) as client:
            yield client

    @contextlib.contextmanager
    def producer(self, **options: object) -> Iterator[KafkaProducer]:
        with contextlib.closing(KafkaProducer(bootstrap_servers=self.address, **options)) as client:
            yield client

    @contextlib.contextmanager
    def consumer(self, *topics: str, **options: object) -> Iterator[KafkaConsumer]:
        settings = {"auto_offset_reset": "earliest", "isolation_level": "read_committed", **options}
        with contextlib.closing(KafkaConsumer(*topics, bootstrap_servers=self.address, **settings)) as client:
            yield client

    def _answers(self) -> bool:
        # kafka-python leaves a socket unclosed for each refused connection, so it is asked once something listens
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        with self.admin() as admin:
            return bool(admin.describe_cluster()["brokers"])

    def _format(self) -> None:
        formatted = subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._settings)],
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
        )
        assert formatted.returncode == 0, formatted.stdout + formatted.stderr

    def _properties(self, overrides: Mapping[str, object]) -> str:
        controller = f"127.0.0.1:{self._controller_port}"
        advertised = [f"PLAINTEXT://{self.address}", *self._listeners]
        settings: dict[str, object] = {
            "process.roles": "broker,controller" if self.node == 1 else "broker",
            "node.id": self.node,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": ",".join([*advertised, *([f"CONTROLLER://{controller}"] if self.node == 1 else [])]),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            # one node: nothing to replicate to, and one partition of each internal topic is plenty
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # a broker that died may come back once its last session has run out: 9 s by default
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3000,
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
            **overrides,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())


@contextlib.contextmanager
def kafka_broker(
    folder: Path, settings: Mapping[str, object] | None = None, listeners: Sequence[str] = ()
) -> Iterator[KafkaBroker]:
    """A broker that answers, with its data and log under `folder`; `settings` are broker properties."""
    broker = KafkaBroker(folder, settings, listeners=listeners)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@contextlib.contextmanager
def kafka_brokers(folder: Path, count: int, settings: Mapping[str, object]) -> Iterator[list[KafkaBroker]]:
    """A cluster of brokers; the first is its controller, the others may be killed and started again."""
    first = KafkaBroker(folder / "1", settings)
    brokers = [first, *(KafkaBroker(folder / str(node), settings, first, node) for node in range(2, count + 1))]
    try:
        for broker in brokers:
            broker.process.start()
        for broker in brokers:
            broker.wait_ready()
        with first.admin() as admin:
            wait_until(lambda: len(admin.describe_cluster()["brokers"]) == count, "all brokers to be registered")
        yield brokers
    finally:
        for broker in reversed(brokers):
            broker.process.kill()


# --- where it comes from -----------------------------------------------------------------------------------------


def fetch_kafka(cache: Path) -> Path:
    """The folder of the broker's jars in `cache`; Maven fills it when it is not there yet."""
    folder = cache / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    maven = program("mvn", "maven")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as unfinished:
        jars = Path(unfinished) / "jars"
        options = ("-DincludeScope=runtime", f"-DoutputDirectory={jars}")
        fetched = subprocess.run(
            [maven, "-B", "-q", "-f", str(_POM), "dependency:copy-dependencies", *options],
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
        )
        assert fetched.returncode == 0, f"Maven could not fetch Apache Kafka:\n{fetched.stdout}{fetched.stderr}"
        with contextlib.suppress(OSError):  # another run was quicker: its folder is as good
            jars.rename(folder)
    return folder


def cache_folder() -> Path:
    """Where parts that take long to fetch are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "driftline"


def _java_command(jars: Path) -> list[str]:
    java = shutil.which("java")
    if java is None or _java_version(java) < _OLDEST_JAVA:
        missing(f"Java {_OLDEST_JAVA} or newer", "apt-get install default-jre-headless")
    logging = f"-Dlog4j2.configurationFile={_HERE / 'log4j2.yaml'}"
    return [java, *_JVM_OPTIONS, logging, "-cp", f"{jars}/*"]


def _java_version(java: str) -> int:
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=_FORMAT_SECONDS).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found.group(1)) if found else 0
