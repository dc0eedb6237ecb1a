"""Role haproxy, one balancer."""
