"""The key `tune`: the protocol of a tuned study, and the points of its search."""
