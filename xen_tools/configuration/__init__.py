"""Settings files: what the daemons are told in TOML, and in xend's xend-config.sxp."""
