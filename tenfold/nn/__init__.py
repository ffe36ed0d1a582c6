"""Layers that any network here may use."""
