"""Files and other platforms' logs → events, videos, people."""
