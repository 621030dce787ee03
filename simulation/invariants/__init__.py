"""The promises of a range, checked by SQL over its tables and its log, without trust in constraints or in services."""
