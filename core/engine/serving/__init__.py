"""Servers that keep a model warm and answer over HTTP on this machine, as OpenAI's chat completions."""
