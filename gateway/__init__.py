"""The gateway: HTTP and hardware in, the log out; views in, HTTP out. It decides nothing."""
