"""Hydrators, filters, rankers, the objective."""
