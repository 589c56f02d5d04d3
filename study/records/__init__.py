"""The files of a run and of a study: names and columns, and how they are written whole, sealed, claimed and read."""
