"""Torture: the store killed, cut off from power, refused by the system and disturbed at every call it makes."""
