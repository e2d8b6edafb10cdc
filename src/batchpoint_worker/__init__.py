"""The program that runs in the user's interpreter: it loads one scoring script and feeds it mini-batches.

Started as ``PYTHON -m batchpoint_worker READ_FD WRITE_FD``; standard library only, Python 3.6 and later, never imports
``batchpoint``.
"""
