"""Where objects live: object table, change log and durable journal."""
