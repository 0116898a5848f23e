"""python -m texsynth."""

from __future__ import annotations

import sys

from texsynth.cli import main

sys.exit(main())
