"""Recipes: batches, losses, one loop, export to the artifact."""
