"""Materials: what maps mean, what their files are called, how they are packed and turned into each other."""
