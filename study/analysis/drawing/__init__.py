"""Code that all figures share: reading their YAML, style, view of the data, layout, and writing the files."""
