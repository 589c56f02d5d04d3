"""Text of tables and figures: numbers, Markdown, LaTeX, and the characters that each needs escaped."""
