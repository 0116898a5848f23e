"""Maps that steer a texture: progressions, directions and labels, read from pictures, fitted to each other or drawn."""
