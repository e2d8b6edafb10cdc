"""Makes the files of an output of what the segments hold, in the format that the job asks for."""
