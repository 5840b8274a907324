"""The command `registry-trust`: composition root of both processes, and the only reader of the environment."""
