"""The scorers that ship with Driftline, one family a file. They register as entry points, the way plug-ins do."""
