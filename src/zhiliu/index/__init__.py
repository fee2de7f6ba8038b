"""Vectors → neighbours."""
