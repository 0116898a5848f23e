"""The studio: a page on this machine, over the same verbs.

`serve` binds a socket and answers it (`app`, `guard`); `desk` hands the work to the one process that computes
(`solver`), which stays warm and can be interrupted; `orders` is what passes between them. `sheet` makes requests, and
the words of commands, of what the page asks for. Only `solver` and `work` import torch.
"""
