"""Exports a trained model: which forms, where they lie, and what is told about them."""
