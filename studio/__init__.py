"""The Streamlit half of the studio: entry point, forms, live views. Knows `core`'s light half, never its engine."""
