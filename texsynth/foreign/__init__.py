"""What comes from outside and is not believed: files that must be regular ones, YAML and JSON of a bounded size."""
