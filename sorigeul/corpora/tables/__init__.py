"""Formats of tables: CSV and TSV, JSON lines, Excel, Parquet and Arrow. Each yields `Row`s."""
