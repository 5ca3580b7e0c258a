"""What learns, from what, in which order: pure descriptions; nothing here runs."""
