"""Everything after the CSVs: collect → gaps → tables and figures. Reads files only, never a model."""
