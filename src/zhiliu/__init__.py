"""Zhiliu 知流: one system for short knowledge videos."""

__version__ = "0.1.0"
