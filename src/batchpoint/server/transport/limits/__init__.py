"""What one client may cost the server: how its requests are written, how slow and how many they may be."""
