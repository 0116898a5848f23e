"""What the correspondence field is solved with: lattice and quilt make the start, align and sweep improve it."""
