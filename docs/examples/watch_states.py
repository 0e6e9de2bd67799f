"""Subscribe to changes of state of virtual machines and print them: pywbem's listener and subscription manager.

Usage: watch_states.py [COUNT]: stop after COUNT indications (default: Ctrl-C).
"""

import json
import os
import queue
import sys
from pathlib import Path

import pywbem

QUERY = (
    "SELECT * FROM Xen_ComputerSystemModification WHERE SourceInstance.EnabledState <> PreviousInstance.EnabledState"
)
PORT = int(os.environ.get("LISTENER_PORT", "5990"))

state = Path(os.environ.get("XEN_CIM_STATE", Path.home() / ".local/state/xen-cim"))
endpoints = json.loads((state / "endpoints.json").read_text())
credentials = (endpoints["user"], Path(endpoints["password_file"]).read_text().strip())

received: queue.Queue = queue.Queue()
listener = pywbem.WBEMListener("127.0.0.1", http_port=PORT)
listener.add_callback(lambda indication, host: received.put(indication))
listener.start()

try:
    connection = pywbem.WBEMConnection(endpoints["urls"]["cim-https"], credentials, ca_certs=endpoints["certificate"])
    # Everything the manager owns is taken away again at the end of the block.
    with pywbem.WBEMSubscriptionManager("watch-states") as manager:
        server = manager.add_server(pywbem.WBEMServer(connection))
        destination = manager.add_destination(server, f"http://127.0.0.1:{PORT}", owned=True, destination_id="here")
        changes = manager.add_filter(server, "root/cimv2", QUERY, "WQL", owned=True, filter_id="states")
        manager.add_subscriptions(server, changes.path, destination.path, owned=True)
        print("subscribed", flush=True)
        left = int(sys.argv[1]) if len(sys.argv) > 1 else -1
        while left != 0:
            indication = received.get()
            before, after = indication["PreviousInstance"], indication["SourceInstance"]
            print(
                f"{after['ElementName']}: EnabledState {before['EnabledState']} -> {after['EnabledState']}", flush=True
            )
            left -= 1
finally:
    listener.stop()
