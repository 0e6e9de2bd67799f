# Logs in, reads all VMs, starts the one named, and prints its name and state.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Calls;

my ($url, $user, $password, $vm) = @ARGV;
my $session = log_in($url, $user, $password);
print scalar(@{call("VM.get_all", $session)}), "\n";
call("VM.start", $session, $vm, RPC::XML::boolean->new(0));
my $record = call("VM.get_record", $session, $vm);
print "$record->{name_label} $record->{power_state}\n";
call("session.logout", $session);
