"""What people look at after a run: pictures of the field, an HTML page, contact sheets."""
