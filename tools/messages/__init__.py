"""Every message of the operator, the agent and the command, made by the real code from inputs that stand here."""
