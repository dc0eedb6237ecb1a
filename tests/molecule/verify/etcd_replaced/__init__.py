"""Role etcd, a member that lost its disk."""
