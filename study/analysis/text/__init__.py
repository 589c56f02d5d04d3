"""Text of tables and figures: numbers, Markdown, LaTeX, and how to escape characters for each."""
