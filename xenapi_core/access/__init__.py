"""Who may: local users, sessions and roles."""
