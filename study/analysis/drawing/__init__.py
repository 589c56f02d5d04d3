"""What all figures share: their YAML, style, view of the data, and how they are laid out and written."""
