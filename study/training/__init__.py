"""One run: `run` trains it by one of two loops (`general` and `compiled`), scores it and writes its folder."""
