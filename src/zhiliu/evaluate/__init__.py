"""Splits, metrics, leaderboards."""
