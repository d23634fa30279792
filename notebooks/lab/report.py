"""Shows what the gate has measured."""
