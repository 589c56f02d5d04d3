"""From the files of a study's runs to tables in memory; what is damaged or has changed is left out by name."""
