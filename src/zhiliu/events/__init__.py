"""Validate → deduplicate → append. Start at :func:`check_batch`."""

from zhiliu.events.check import BatchError, check_batch

__all__ = ["BatchError", "check_batch"]
