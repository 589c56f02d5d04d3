"""Read the files of a study's runs into tables. Damaged and changed runs are left out, and named."""
