"""Stats' tables: what decisions load, and how events are applied. All its writing SQL is here."""
