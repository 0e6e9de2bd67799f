"""Bytes to calls and results to bytes."""
