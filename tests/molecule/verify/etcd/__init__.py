"""Role etcd."""
