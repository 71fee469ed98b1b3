"""What the report of an evaluation is made of: figures, excerpts, and the page that shows them.

`sorigeul.evaluation.report` puts them together.
"""
