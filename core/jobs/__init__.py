"""Detached processes that outlive the studio: what starts and ends them, where they run, and whose turn it is."""
