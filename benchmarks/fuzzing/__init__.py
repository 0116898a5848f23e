"""The parts of benchmarks/fuzz.py: good files, what spoils them, commands that read them, and who judges what comes."""
