"""Evaluates what models answered: judges, automatic metrics, statistics, evidence."""
