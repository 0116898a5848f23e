"""What several trained networks share: layers, generators, critics, conditions and losses by region."""
