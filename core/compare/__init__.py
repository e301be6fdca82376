"""Comparisons: the same questions to several models, their answers side by side, and blind votes on them."""
