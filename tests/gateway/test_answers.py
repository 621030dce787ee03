"""What an accepted command is answered, written without its model, is what the model says."""

import pytest

from bus.identity import uuid7
from gateway.answers import CommandStatus, status_of, under_way


@pytest.mark.parametrize("result", [None, "/v1/bookings/01981c4e-6f3a-7cc0-8000-1d6b5a3c2f10", '/v1/"x"\\{0}'])
def test_an_answer_under_way_is_the_status_of_a_pending_command(result):
    command = uuid7()
    written = under_way(command, result)
    assert written == status_of(command, None, result).model_dump_json()
    assert CommandStatus.model_validate_json(written).links.result == result
