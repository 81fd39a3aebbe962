"""What is kept of a call: its record, its recording, its cost; the keys to read them; their end."""
