"""What keeps Firingline running: PostgreSQL, processes, migrations, credentials and the console script."""
