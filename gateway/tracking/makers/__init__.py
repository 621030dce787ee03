"""One small adapter a maker: from bytes as they came to shots in the one form. Pure, and none ever raises.

An adapter takes a frame and what must be known besides (a file's name, a time zone), and says what it found at which
firing point. A frame is what the transport hands over whole: a datagram, a row, a message. What tells of no shot says
nothing; what looks like a shot and cannot be read is Wrong.
"""
