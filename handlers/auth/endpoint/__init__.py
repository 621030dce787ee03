"""The small HTTP endpoint for what must not go through the log: passwords, names, numbers, secrets."""
