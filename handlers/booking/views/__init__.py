"""What others may read of booking: ranges and lanes, what is free, and bookings."""
