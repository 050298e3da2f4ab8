"""The page and the JSON API: what people see of a running service."""
