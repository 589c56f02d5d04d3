"""report.html: a study as one self-contained page. `data` collects it as plain values, `render` writes them as HTML."""
