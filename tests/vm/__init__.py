"""A virtual machine: it boots, runs a component, and takes a fault of the network on a kernel of its own."""
