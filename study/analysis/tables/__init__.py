"""Results as the text of tables, with the notes below them."""
