"""The session that the first generation's documents show, word for word: bare uuids, register and next."""

from __future__ import annotations

import xmlrpc.client

FIELDS = {
    "uuid",
    "memory_actual",
    "VCPUs_number",
    "VCPUs_utilisation",
    "VCPUs_CPU",
    "VCPUs_params",
    "VCPUs_flags",
    "state",
    "start_time",
    "last_updated",
}
EVENT = {"class", "field", "id", "obj_uuid", "operation", "ref", "timestamp"}


def test_metrics_of_a_bare_uuid(xenapi):
    for record in xenapi.VM_metrics.get_all_records().values():
        told = xenapi.VM_metrics.get_record(record["uuid"])
        assert set(told) >= FIELDS
        assert told["uuid"] == record["uuid"]
        assert isinstance(told["last_updated"], xmlrpc.client.DateTime)
        assert all(isinstance(each, float) for each in told["VCPUs_utilisation"].values())


def test_a_register_next_loop_prints_events(bridge, xenapi, halted_vm):
    other = bridge.xenapi().xenapi
    xenapi.event.register(["VM"])
    other.VM.start(halted_vm, False)
    states: list[str] = []
    numbers: list[int] = []
    while not states:
        for event in xenapi.event.next():
            assert set(event) >= EVENT
            assert event["class"] == "VM"
            assert isinstance(event["timestamp"], xmlrpc.client.DateTime)
            assert event["operation"] in ("add", "mod", "del")
            assert event["obj_uuid"] == other.VM.get_uuid(event["ref"])
            numbers.append(int(event["id"]))
            if event["field"] == "power_state" and event["ref"] == halted_vm:
                states.append(other.VM.get_power_state(event["obj_uuid"]))
    assert states == ["Running"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    xenapi.event.unregister(["VM"])
    other.session.logout()
