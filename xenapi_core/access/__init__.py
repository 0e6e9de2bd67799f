"""Who may: sessions, users of a file and of the system, roles."""
