// Logs in with aXMLRPC, reads all VMs, starts the one named, and prints its name and state.

import de.timroes.axmlrpc.XMLRPCClient;
import java.net.URL;
import java.util.Map;

public class StartVm {
    private static XMLRPCClient client;

    @SuppressWarnings("unchecked")
    private static Object call(String method, Object... parameters) throws Exception {
        Map<String, Object> answer = (Map<String, Object>) client.call(method, parameters);
        if (!"Success".equals(answer.get("Status"))) {
            throw new IllegalStateException(java.util.Arrays.toString((Object[]) answer.get("ErrorDescription")));
        }
        return answer.get("Value");
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        client = new XMLRPCClient(new URL(arguments[0]), XMLRPCClient.FLAGS_DEFAULT_TYPE_STRING);
        Object session = call("session.login_with_password", arguments[1], arguments[2]);
        String vm = arguments[3];
        System.out.println(((Object[]) call("VM.get_all", session)).length);
        call("VM.start", session, vm, false);
        Map<String, Object> record = (Map<String, Object>) call("VM.get_record", session, vm);
        System.out.println(record.get("name_label") + " " + record.get("power_state"));
        call("session.logout", session);
    }
}
