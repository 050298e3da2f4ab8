"""Personal data and credentials: found by their form, and replaced before anything is kept or shown."""
