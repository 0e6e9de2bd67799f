"""That answers are really validated: the check itself is checked."""

from __future__ import annotations

import pytest

from netserve.messages import Response
from valid_answers import Answers, ValidatingRecorder, validated_answers

WRONG = b'<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><OOPS/></MESSAGE></CIM>'


@pytest.fixture
def answers() -> Answers:
    with validated_answers() as found:
        if found is None:
            pytest.skip("the DTDs of DSP0203, in pywbem's source distribution, cannot be had")
        yield found


def test_answers_are_counted(answers, client):
    client.EnumerateInstances("T_System")
    client.GetClass("T_System")
    assert (answers.count, answers.problems) == (2, [])


def test_a_wrong_answer_is_found(answers):
    answers.check(Response(200, [("Content-Type", "application/xml")], WRONG))
    assert "OOPS" in answers.problems[0]


def test_a_client_finds_it_as_well(answers, client, monkeypatch):
    recorder = ValidatingRecorder()
    client.add_operation_recorder(recorder)
    assert client.EnumerateInstances("T_System")
    stage = recorder.stage_http_response2
    monkeypatch.setattr(recorder, "stage_http_response2", lambda payload: stage(WRONG))
    with pytest.raises(AssertionError, match="OOPS"):
        client.EnumerateInstances("T_System")
