"""Payment's tables: what is loaded for a decision, and what each event writes."""
