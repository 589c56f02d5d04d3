"""A study while it runs: what its files show at this moment, and a local page that follows them."""
