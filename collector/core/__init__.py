"""The shared vocabulary: what every other part may import, and which imports nothing of ours."""
