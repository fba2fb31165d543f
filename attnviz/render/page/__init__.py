"""Pages: each a single HTML file that needs nothing else, from one set of templates and one style."""
