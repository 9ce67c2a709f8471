"""The measured scenarios, and the versions that can play them."""
