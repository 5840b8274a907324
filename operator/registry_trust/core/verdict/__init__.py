"""What a handshake with a registry says about the pulls of a node's runtime, by the rules of Go."""
