# Calls of the Xen-API with RPC::XML.
package Calls;
use strict;
use warnings;
use RPC::XML::Client;
use Exporter 'import';
our @EXPORT = qw(log_in call);

my $client;

sub log_in {
    my ($url, $user, $password) = @_;
    $client = RPC::XML::Client->new($url);
    return call("session.login_with_password", map { RPC::XML::string->new($_) } $user, $password);
}

sub call {
    my $answer = $client->send_request(@_);
    die "no answer: $answer" unless ref $answer;
    my $value = $answer->value;
    die join(",", @{$value->{ErrorDescription}}) unless $value->{Status} eq "Success";
    return $value->{Value};
}

1;
