"""Plan a study before it trains: how many seeds, how long, how much disk."""
