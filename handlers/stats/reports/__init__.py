"""Reports on order: made by a process of its own, from stats' tables, as PDF, CSV or Parquet."""
