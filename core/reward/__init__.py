"""The reward: its formula, its components, how completions are scored, and the presets and custom files behind it."""
