import asyncio

from bench.talk import Talk, post


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.written = []

    def write(self, data):
        self.written.append(data)

    def close(self):
        pass


def talking():
    answers, lost = [], []
    talk = Talk(lambda *answer: answers.append(answer), lambda: lost.append(True))
    talk.connection_made(Wire())
    return talk, answers, lost


def test_an_answer_that_comes_in_pieces_is_one_answer():
    talk, answers, _ = talking()
    for piece in (b"HTTP/1.1 20", b"2 Accepted\r\nContent-Le", b"ngth: 4\r\n\r\n", b"ab", b"cd"):
        assert not answers
        talk.data_received(piece)
    assert answers == [(202, b"abcd")]
    talk.data_received(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\ncontent-length: 0\r\n\r\n")
    assert answers[1:] == [(503, b"")]


def test_a_connection_that_ends_early_is_told_and_one_that_we_end_is_not():
    talk, _, lost = talking()
    talk.connection_lost(None)
    assert lost
    talk, _, lost = talking()
    talk.close()
    talk.connection_lost(None)
    assert not lost


def test_a_request_says_how_long_its_body_is():
    request = post("/v1/bookings", b"{}", Idempotency_Key="one")
    assert request.startswith(b"POST /v1/bookings HTTP/1.1\r\n")
    assert b"Content-Length: 2\r\n" in request
    assert request.endswith(b"Idempotency-Key: one\r\n\r\n{}")
