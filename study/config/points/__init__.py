"""From the command line to the points of a sweep, and from each point to a composed config."""
