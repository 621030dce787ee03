"""Prices, invoices, payments and the double-entry ledger."""
