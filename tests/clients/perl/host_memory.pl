# Logs in and prints the name, the total and the free memory of each host.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Calls;

my $session = log_in(@ARGV);
for my $host (@{call("host.get_all", $session)}) {
    my $metrics = call("host.get_metrics", $session, $host);
    my @memory = map { call("host_metrics.get_memory_$_", $session, $metrics) } "total", "free";
    print join(" ", call("host.get_name_label", $session, $host), @memory), "\n";
}
call("session.logout", $session);
