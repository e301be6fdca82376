"""Makes the files of an export: merging, GGUF, and the check that they still behave the same."""
