"""One run: `run` trains it by one of two loops (`general` or `compiled`), scores it and writes its folder."""
