"""Consumers of the log: person state, counters, the world a request sees."""
