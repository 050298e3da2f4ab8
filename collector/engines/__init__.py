"""The engines: each keeps logs, state and transactions in its own way, behind `collector.core.engine`."""
