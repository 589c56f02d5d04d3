"""The files of a run and of a study: names, columns, writing, reading, checksums, and which process owns a run."""
