"""What keeps a home in order: ``prune`` removes what can be made again or nobody needs, ``doctor`` says what is wrong.

The command line calls it on the machine of the home; it acts on files, processes and the store, not over REST.
"""
