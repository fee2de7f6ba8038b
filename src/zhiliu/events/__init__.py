"""Validate → deduplicate → append."""
