"""What a pipeline keeps of what its stages made, and what is known of the rest.

removed    what memori removed from runs' own folders, by policy, and the digests that stand for it
demand     whether a digest is enough for whoever asks, or the file has to be there
"""
