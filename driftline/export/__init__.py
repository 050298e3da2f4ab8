"""Scores and changes for others to keep: a Kafka topic, Parquet files, regression cases, evidence for an audit."""
