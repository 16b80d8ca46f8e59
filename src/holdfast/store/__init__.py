"""What outlives a process: revisions, overrides, registrations, reports, events, users, audit; on SQLite or etcd."""
