"""Opening hours, lanes, bookings, and the session from check-in to finish."""
