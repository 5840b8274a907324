"""The probe: one conversation with a registry, as a runtime of this node would have it."""
