"""Who may: sessions, local users, roles."""
