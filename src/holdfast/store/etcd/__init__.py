"""A store in an etcd cluster, for several controllers: over etcd's JSON gateway."""
