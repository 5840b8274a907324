"""Torture: the store killed, cut off, refused and disturbed at every call it makes; leaders hung and stopped."""
