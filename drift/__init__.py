"""Incremental statistics that detect change and keep their error rates; `detector` makes one by name."""

from drift.base import detector

__all__ = ["detector"]
