# Logs in with RPC::XML, reads all VMs, starts the one named, and prints its name and state.
use strict;
use warnings;
use RPC::XML::Client;

my ($url, $user, $password, $vm) = @ARGV;
my $client = RPC::XML::Client->new($url);

sub call {
    my $answer = $client->send_request(@_);
    die "no answer: $answer" unless ref $answer;
    my $value = $answer->value;
    die join(",", @{$value->{ErrorDescription}}) unless $value->{Status} eq "Success";
    return $value->{Value};
}

my $session = call("session.login_with_password", map { RPC::XML::string->new($_) } $user, $password);
print scalar(@{call("VM.get_all", $session)}), "\n";
call("VM.start", $session, $vm, RPC::XML::boolean->new(0));
my $record = call("VM.get_record", $session, $vm);
print "$record->{name_label} $record->{power_state}\n";
call("session.logout", $session);
