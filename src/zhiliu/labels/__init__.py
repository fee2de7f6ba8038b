"""Joins impressions with what followed."""
