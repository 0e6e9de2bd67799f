"""What both servers need of the network: HTTP, TLS, unix sockets, limits, certificates, logs."""
