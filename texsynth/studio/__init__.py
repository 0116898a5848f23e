"""The studio: a page on this machine, over the same verbs.

`serving` binds a socket and answers it (`guard`, `app`); `desk` hands the work to the one process that computes
(`solver`), which stays warm and can be interrupted, and `news` is what the pages hear of it; `orders` is what passes
between the two processes. `sheet` makes requests, and the words of commands, of what the page asks for, of which
`definitions` say what there is; `store` is what is held in memory, and the folder that is written to, where `naming`
says what the files are called. Only what the process does (`work`, `places`) imports torch.
"""
