"""A real Kubernetes on one machine: control plane, registry, nodes and runtimes for tests, the demo and `make cluster`."""
