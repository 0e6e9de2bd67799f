"""That answers are really validated: the check itself is checked."""

from __future__ import annotations

import pytest

from netserve.messages import Response
from valid_answers import Answers, validated_answers


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
    wrong = b'<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><OOPS/></MESSAGE></CIM>'
    answers.check(Response(200, [("Content-Type", "application/xml")], wrong))
    assert "OOPS" in answers.problems[0]
