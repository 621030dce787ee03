"""Plays a range: a whole day of shooters and staff over HTTP and real target sockets, and a single target by itself."""
