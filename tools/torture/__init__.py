"""Torture: the store killed, cut off and disturbed at every call; leaders hung and stopped; containerd asked."""
