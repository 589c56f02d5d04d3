"""The text of tables, and the notes below them."""
