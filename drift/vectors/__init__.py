"""Embedding drift: vectors in, shares of clusters out, which are watched as any other share."""
