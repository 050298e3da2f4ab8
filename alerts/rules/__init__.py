"""Rules for Prometheus and its kin, generated: facts of the configuration in, documents out; nothing is read here."""
