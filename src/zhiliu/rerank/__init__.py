"""The list as a whole."""
